package kubelet

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// logFile keeps a container's output, each line with the time at which it began.
type logFile struct {
	mu   sync.Mutex
	file *os.File
	mid  bool
}

func openLog(path string) (*logFile, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	return &logFile{file: file}, err
}

// Write takes output in any pieces.
func (l *logFile) Write(data []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out bytes.Buffer
	for rest := data; len(rest) > 0; {
		if !l.mid {
			out.WriteString(time.Now().UTC().Format(time.RFC3339Nano))
			out.WriteByte(' ')
		}
		end := bytes.IndexByte(rest, '\n')
		l.mid = end < 0
		if l.mid {
			out.Write(rest)
			break
		}
		out.Write(rest[:end+1])
		rest = rest[end+1:]
	}
	if _, err := l.file.Write(out.Bytes()); err != nil {
		return 0, err
	}
	return len(data), nil
}

// logQuery is what the API server passes on of a request for logs.
type logQuery struct {
	follow, timestamps bool
	tail               int
	limit              int64
	since              time.Time
}

func parseLogQuery(get func(string) string) (logQuery, error) {
	query := logQuery{tail: -1, limit: -1, follow: get("follow") == "true", timestamps: get("timestamps") == "true"}
	var err error
	if text := get("tailLines"); text != "" {
		if query.tail, err = strconv.Atoi(text); err != nil {
			return query, fmt.Errorf("tailLines: %w", err)
		}
	}
	if text := get("limitBytes"); text != "" {
		if query.limit, err = strconv.ParseInt(text, 10, 64); err != nil {
			return query, fmt.Errorf("limitBytes: %w", err)
		}
	}
	if text := get("sinceSeconds"); text != "" {
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return query, fmt.Errorf("sinceSeconds: %w", err)
		}
		query.since = time.Now().Add(-time.Duration(seconds) * time.Second)
	}
	if text := get("sinceTime"); text != "" {
		if query.since, err = time.Parse(time.RFC3339, text); err != nil {
			return query, fmt.Errorf("sinceTime: %w", err)
		}
	}
	return query, nil
}

// line gives a stored line as the query wants it, or false when it is too old.
func (q logQuery) line(stored string) (string, bool) {
	stamp, text, found := strings.Cut(stored, " ")
	if !found {
		return stored, true
	}
	if !q.since.IsZero() {
		if at, err := time.Parse(time.RFC3339Nano, stamp); err == nil && at.Before(q.since) {
			return "", false
		}
	}
	if q.timestamps {
		return stored, true
	}
	return text, true
}

// copyLog writes the log as asked. With follow it ends when gone tells so.
func copyLog(w io.Writer, path string, query logQuery, gone func() bool) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if query.limit >= 0 {
		w = &limited{w: w, left: query.limit}
	}
	reader := bufio.NewReader(file)
	var lines []string
	for {
		stored, err := reader.ReadString('\n')
		if line, wanted := query.line(stored); wanted && stored != "" {
			lines = append(lines, line)
		}
		if err != nil {
			break
		}
	}
	if query.tail >= 0 && len(lines) > query.tail {
		lines = lines[len(lines)-query.tail:]
	}
	if _, err := io.WriteString(w, strings.Join(lines, "")); err != nil || !query.follow {
		return err
	}
	return follow(w, reader, query, gone)
}

func follow(w io.Writer, reader *bufio.Reader, query logQuery, gone func() bool) error {
	var partial string
	for {
		last := gone()
		for {
			piece, err := reader.ReadString('\n')
			partial += piece
			if err != nil {
				break
			}
			if line, wanted := query.line(partial); wanted {
				if _, err := io.WriteString(w, line); err != nil {
					return err
				}
			}
			partial = ""
		}
		if flusher, ok := w.(http.Flusher); ok {
			flusher.Flush()
		}
		if last {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
}

type limited struct {
	w    io.Writer
	left int64
}

func (l *limited) Write(data []byte) (int, error) {
	if l.left <= 0 {
		return 0, io.EOF
	}
	cut := data[:min(int64(len(data)), l.left)]
	n, err := l.w.Write(cut)
	l.left -= int64(n)
	if err == nil && n < len(data) {
		err = io.EOF
	}
	return n, err
}
