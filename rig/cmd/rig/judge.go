package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"k8s.io/client-go/rest"
)

// judgeCase is an object that the API server is asked about, a line of JSON. With `old` it is an update of that object.
type judgeCase struct {
	ID         string         `json:"id"`
	Path       string         `json:"path"`       // of the collection: /apis/GROUP/VERSION[/namespaces/NS]/PLURAL
	Validation string         `json:"validation"` // fieldValidation: Strict, Warn or Ignore
	Object     map[string]any `json:"object"`
	Old        map[string]any `json:"old,omitempty"`
}

// judgeAnswer is what it said. Body is the object as it would be stored, or the Status.
type judgeAnswer struct {
	ID       string          `json:"id"`
	Code     int             `json:"code"`
	Warnings []string        `json:"warnings,omitempty"`
	Body     json.RawMessage `json:"body"`
}

// judge asks the API server about every case, without storing anything but what an update is compared with.
func judge(args []string) error {
	flags := flag.NewFlagSet("rig judge", flag.ContinueOnError)
	folder := flags.String("definitions", "", "folder of CustomResourceDefinitions to install first")
	from := flags.String("cases", "", "file of cases, a line of JSON each")
	to := flags.String("answers", "", "file that answers are written to, in the order of the cases")
	if err := flags.Parse(args); err != nil {
		return err
	}
	kubeconfig, tools := os.Getenv("KUBECONFIG"), os.Getenv("RIG_TOOLS")
	if kubeconfig == "" || tools == "" || *from == "" || *to == "" {
		return errors.New("judge works inside a rig: rig up --crds none -- rig judge --definitions DIR --cases FILE --answers FILE")
	}
	ctx := context.Background()
	if *folder != "" {
		if err := definitions(ctx, *folder, os.Environ(), tools); err != nil {
			return err
		}
	}
	cases, err := readCases(*from)
	if err != nil {
		return err
	}
	config, err := restConfig(kubeconfig)
	if err != nil {
		return err
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return err
	}
	asker := &judgeClient{client: client, server: config.Host}
	answers := make([]judgeAnswer, len(cases))
	failures := make([]error, len(cases))
	var wait sync.WaitGroup
	next := make(chan int)
	for range 8 {
		wait.Go(func() {
			for at := range next {
				answers[at], failures[at] = asker.judge(ctx, cases[at], at)
			}
		})
	}
	for at := range cases {
		next <- at
	}
	close(next)
	wait.Wait()
	if err := errors.Join(failures...); err != nil {
		return err
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	for _, answer := range answers {
		if err := encoder.Encode(answer); err != nil {
			return err
		}
	}
	return os.WriteFile(*to, out.Bytes(), 0o644) //nolint:gosec
}

func readCases(path string) ([]judgeCase, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var cases []judgeCase
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var one judgeCase
		decoder := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		decoder.UseNumber() // as they are written
		if err := decoder.Decode(&one); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		cases = append(cases, one)
	}
	return cases, lines.Err()
}

type judgeClient struct {
	client *http.Client
	server string
}

// judge asks about one case. What an update is compared with is stored under a name of its own and removed again.
func (c *judgeClient) judge(ctx context.Context, one judgeCase, at int) (judgeAnswer, error) {
	query := "?dryRun=All&fieldManager=judge&fieldValidation=" + one.Validation
	if one.Old == nil {
		return c.send(ctx, one.ID, http.MethodPost, one.Path+query, one.Object)
	}
	old := metadataOf(one.Old)
	name := fmt.Sprintf("%v-%d", old["name"], at)
	old["name"] = name
	fresh := metadataOf(one.Object)
	fresh["name"] = name
	stored, err := c.send(ctx, one.ID, http.MethodPost, one.Path+"?fieldValidation=Ignore", one.Old)
	if err != nil {
		return stored, err
	}
	if stored.Code != http.StatusCreated {
		return stored, fmt.Errorf("%s: the object before cannot be created: %s", one.ID, stored.Body)
	}
	var made struct {
		Metadata struct{ UID, ResourceVersion string }
	}
	if err := json.Unmarshal(stored.Body, &made); err != nil {
		return stored, err
	}
	fresh["resourceVersion"] = made.Metadata.ResourceVersion
	answer, err := c.send(ctx, one.ID, http.MethodPut, one.Path+"/"+name+query, one.Object)
	if err != nil {
		return answer, err
	}
	_, err = c.send(ctx, one.ID, http.MethodDelete, one.Path+"/"+name, nil)
	return answer, err
}

func metadataOf(object map[string]any) map[string]any {
	metadata, ok := object["metadata"].(map[string]any)
	if !ok {
		metadata = map[string]any{}
		object["metadata"] = metadata
	}
	return metadata
}

func (c *judgeClient) send(ctx context.Context, id, method, path string, object map[string]any) (judgeAnswer, error) {
	var body io.Reader
	if object != nil {
		text, err := json.Marshal(object)
		if err != nil {
			return judgeAnswer{}, err
		}
		body = bytes.NewReader(text)
	}
	for try := 0; ; try++ {
		request, err := http.NewRequestWithContext(ctx, method, c.server+path, body)
		if err != nil {
			return judgeAnswer{}, err
		}
		request.Header.Set("Content-Type", "application/json")
		response, err := c.client.Do(request)
		if err != nil {
			return judgeAnswer{}, fmt.Errorf("%s: %w", id, err)
		}
		text, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			return judgeAnswer{}, err
		}
		// It is only overloaded.
		if response.StatusCode == http.StatusTooManyRequests && try < 20 && object != nil {
			time.Sleep(200 * time.Millisecond)
			again, err := json.Marshal(object)
			if err != nil {
				return judgeAnswer{}, err
			}
			body = bytes.NewReader(again)
			continue
		}
		return judgeAnswer{ID: id, Code: response.StatusCode, Warnings: response.Header.Values("Warning"), Body: text}, nil
	}
}
