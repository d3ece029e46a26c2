package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"portolan.dev/rig/internal/cluster"
	"portolan.dev/rig/internal/pki"
)

// mint writes a kubeconfig to standard output. It works inside a rig, whose authority it uses.
func mint(args []string) error {
	var groups []string
	flags := flag.NewFlagSet("rig mint", flag.ContinueOnError)
	user := flags.String("user", "", "user name")
	flags.Func("group", "group of the user (repeatable)", func(group string) error {
		groups = append(groups, group)
		return nil
	})
	account := flags.String("service-account", "", "NAMESPACE/NAME of a service account, instead of a user")
	lifetime := flags.Duration("lifetime", 24*time.Hour, "how long a service account's token is valid")
	if err := flags.Parse(args); err != nil {
		return err
	}
	dir := os.Getenv("RIG_DIR")
	if dir == "" {
		return errors.New("mint works inside a rig: make rig RUN='rig mint --user NAME'")
	}
	ca, err := pki.Open(filepath.Join(dir, "pki"), "ca")
	if err != nil {
		return err
	}
	var out []byte
	switch {
	case *account != "" && *user == "" && len(groups) == 0:
		out, err = mintToken(ca, dir, *account, *lifetime)
	case *account == "" && *user != "":
		out, err = ca.Kubeconfig(cluster.Server, *user, groups)
	default:
		err = errors.New("give --user NAME [--group NAME]..., or --service-account NAMESPACE/NAME")
	}
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(out)
	return err
}

func mintToken(ca *pki.Authority, dir, account string, lifetime time.Duration) ([]byte, error) {
	namespace, name, found := strings.Cut(account, "/")
	if !found {
		return nil, fmt.Errorf("%q is not NAMESPACE/NAME", account)
	}
	config, err := restConfig(filepath.Join(dir, "admin.kubeconfig"))
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	seconds := int64(lifetime.Seconds())
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}
	answer, err := client.CoreV1().ServiceAccounts(namespace).CreateToken(context.Background(), name, request, metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	return ca.TokenKubeconfig(cluster.Server, name, answer.Status.Token)
}
