// Package pki makes the cluster's certificates, keys and kubeconfigs. All of it lives and dies with one run of the rig.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// lifetime outlives any run; no run should see an expiry that it did not ask for.
const lifetime = 30 * 24 * time.Hour

// Authority is a certificate authority that stands in files of one folder: <name>.crt and <name>.key.
type Authority struct {
	dir, name string
	cert      *x509.Certificate
	key       *ecdsa.PrivateKey
}

// Leaf says what a certificate is for.
type Leaf struct {
	// User is the common name: the user name, where it is a client's.
	User string
	// Groups are the organisations: the groups, where it is a client's.
	Groups []string
	// Addresses make it a server's.
	Addresses []net.IP
	Names     []string
}

// Pair names the files of a certificate and its key.
type Pair struct{ Cert, Key string }

func serial() (*big.Int, error) {
	return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
}

func write(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

func writeKey(path string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return write(path, "PRIVATE KEY", der)
}

// New makes an authority in dir.
func New(dir, name string) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	number, err := serial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: number, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(lifetime),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	authority := &Authority{dir: dir, name: name, key: key}
	if authority.cert, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	if err := write(authority.CertFile(), "CERTIFICATE", der); err != nil {
		return nil, err
	}
	return authority, writeKey(authority.KeyFile(), key)
}

// Open reads an authority that New left in dir.
func Open(dir, name string) (*Authority, error) {
	authority := &Authority{dir: dir, name: name}
	der := map[string][]byte{}
	for _, path := range []string{authority.CertFile(), authority.KeyFile()} {
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		block, _ := pem.Decode(raw)
		if block == nil {
			return nil, fmt.Errorf("%s holds no PEM", path)
		}
		der[path] = block.Bytes
	}
	var err error
	if authority.cert, err = x509.ParseCertificate(der[authority.CertFile()]); err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(der[authority.KeyFile()])
	if err != nil {
		return nil, err
	}
	var ok bool
	if authority.key, ok = key.(*ecdsa.PrivateKey); !ok {
		return nil, errors.New("the authority's key is not an EC key")
	}
	return authority, nil
}

// CertFile is the authority's certificate.
func (a *Authority) CertFile() string { return filepath.Join(a.dir, a.name+".crt") }

// KeyFile is the authority's key.
func (a *Authority) KeyFile() string { return filepath.Join(a.dir, a.name+".key") }

// Issue makes a certificate and its key in files called after name.
func (a *Authority) Issue(name string, leaf Leaf) (Pair, error) {
	pair := Pair{Cert: filepath.Join(a.dir, name+".crt"), Key: filepath.Join(a.dir, name+".key")}
	der, key, err := a.issue(leaf)
	if err != nil {
		return pair, err
	}
	if err := write(pair.Cert, "CERTIFICATE", der); err != nil {
		return pair, err
	}
	return pair, writeKey(pair.Key, key)
}

func (a *Authority) issue(leaf Leaf) ([]byte, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	number, err := serial()
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: number, Subject: pkix.Name{CommonName: leaf.User, Organization: leaf.Groups},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(lifetime),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		IPAddresses: leaf.Addresses, DNSNames: leaf.Names,
	}
	if len(leaf.Addresses)+len(leaf.Names) > 0 {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	return der, key, err
}

// ServiceAccountKey makes the key pair that signs service account tokens.
func ServiceAccountKey(dir string) (Pair, error) {
	pair := Pair{Cert: filepath.Join(dir, "service-account.pub"), Key: filepath.Join(dir, "service-account.key")}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair, err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return pair, err
	}
	if err := write(pair.Cert, "PUBLIC KEY", public); err != nil {
		return pair, err
	}
	return pair, writeKey(pair.Key, key)
}

// Kubeconfig makes a whole kubeconfig, certificates inside, for a user with groups.
func (a *Authority) Kubeconfig(server, user string, groups []string) ([]byte, error) {
	der, key, err := a.issue(Leaf{User: user, Groups: groups})
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return a.kubeconfig(server, user, &api.AuthInfo{
		ClientCertificateData: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		ClientKeyData:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
	})
}

// TokenKubeconfig makes a kubeconfig for a bearer token.
func (a *Authority) TokenKubeconfig(server, user, token string) ([]byte, error) {
	return a.kubeconfig(server, user, &api.AuthInfo{Token: token})
}

func (a *Authority) kubeconfig(server, user string, auth *api.AuthInfo) ([]byte, error) {
	config := api.NewConfig()
	config.Clusters["rig"] = &api.Cluster{
		Server:                   server,
		CertificateAuthorityData: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}),
	}
	config.AuthInfos[user] = auth
	config.Contexts["rig"] = &api.Context{Cluster: "rig", AuthInfo: user, Namespace: "default"}
	config.CurrentContext = "rig"
	return clientcmd.Write(*config)
}
