// Packs what API servers know of kinds into one file, for crates/schema: CustomResourceDefinitions and the published OpenAPI
// of Kubernetes, from the modules that modules.txt pins, without prose. Equal schemas are written once.
//
//	go run . OUTPUT [FOLDER]
//
// The file: a line of JSON with all kinds (`root` is the number of a node), then a line of JSON for each node, a schema whose
// children are numbers of nodes. FOLDER gets the CustomResourceDefinitions as they are, for a real API server.
package main

import (
	"archive/zip"
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"slices"
	"sort"
	"strings"

	"sigs.k8s.io/yaml"
)

//go:embed modules.txt
var modules string

type object = map[string]any

// kind is one version of a kind.
type kind struct {
	Group      string   `json:"group"`
	Version    string   `json:"version"`
	Kind       string   `json:"kind"`
	Plural     string   `json:"plural"`
	Short      []string `json:"short,omitempty"`
	Namespaced bool     `json:"namespaced"`
	// Typed is a kind of Kubernetes itself: its objects are decoded into Go's types.
	Typed bool `json:"typed,omitempty"`
	// Status is a subresource: it is not taken from who writes the object.
	Status bool `json:"status,omitempty"`
	Root   int  `json:"root"`
}

type pack struct {
	kinds []kind
	nodes [][]byte
	known map[string]int
	refs  map[string]int
	have  map[string]bool
	// whole are the definitions as they are, by name.
	whole map[string]object
}

func main() {
	if len(os.Args) < 2 || len(os.Args) > 3 {
		fail("usage: go run . OUTPUT [FOLDER]")
	}
	p := &pack{known: map[string]int{}, refs: map[string]int{}, have: map[string]bool{}, whole: map[string]object{}}
	for _, line := range strings.Split(modules, "\n") {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(line, "#") {
			continue
		}
		files := read(words[0], words[1], words[2], words[3:])
		for _, file := range files {
			if strings.HasSuffix(file.name, ".json") {
				p.openAPI(file)
			} else {
				p.definitions(file)
			}
		}
	}
	sort.Slice(p.kinds, func(i, j int) bool {
		a, b := p.kinds[i], p.kinds[j]
		return a.Group+"/"+a.Kind+"/"+a.Version < b.Group+"/"+b.Kind+"/"+b.Version
	})
	var out bytes.Buffer
	out.Write(encode(p.kinds))
	for _, node := range p.nodes {
		out.WriteByte('\n')
		out.Write(node)
	}
	check(os.WriteFile(os.Args[1], out.Bytes(), 0o644))
	if len(os.Args) == 3 {
		check(os.MkdirAll(os.Args[2], 0o755))
		for name, definition := range p.whole {
			check(os.WriteFile(path.Join(os.Args[2], name+".json"), encode(definition), 0o644))
		}
	}
}

type file struct {
	name string
	text []byte
}

// read gives the files of a module, in order of name.
func read(module, version, sum string, patterns []string) []file {
	command := exec.Command("go", "mod", "download", "-json", module+"@"+version)
	command.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
	command.Stderr = os.Stderr
	said, err := command.Output()
	var got struct{ Zip, Sum, Error string }
	if json.Unmarshal(said, &got) != nil || got.Zip == "" {
		fail("%s@%s cannot be downloaded: %v %s", module, version, err, got.Error)
	}
	if got.Sum != sum {
		fail("%s@%s has the checksum %s, and modules.txt says %s", module, version, got.Sum, sum)
	}
	archive, err := zip.OpenReader(got.Zip)
	check(err)
	defer archive.Close()
	var files []file
	for _, entry := range archive.File {
		name := strings.TrimPrefix(entry.Name, module+"@"+version+"/")
		for _, pattern := range patterns {
			if fits, _ := path.Match(pattern, name); !fits {
				continue
			}
			opened, err := entry.Open()
			check(err)
			text, err := io.ReadAll(opened)
			check(err)
			files = append(files, file{name, text})
		}
	}
	if len(files) < len(patterns) {
		fail("%s@%s does not have the files of modules.txt", module, version)
	}
	sort.Slice(files, func(i, j int) bool { return files[i].name < files[j].name })
	return files
}

func (p *pack) add(k kind) {
	p.have[k.Group+"/"+k.Kind+"/"+k.Version] = true
	p.kinds = append(p.kinds, k)
}

// definitions packs the CustomResourceDefinitions of a YAML file.
func (p *pack) definitions(f file) {
	for _, text := range strings.Split("\n"+string(f.text), "\n---") {
		var crd struct {
			Kind string
			Spec struct {
				Group string
				Scope string
				Names struct {
					Kind, Plural string
					ShortNames   []string
				}
				Versions []struct {
					Name         string
					Served       bool
					Schema       struct{ OpenAPIV3Schema object }
					Subresources struct{ Status *object }
				}
			}
		}
		if err := yaml.Unmarshal([]byte(text), &crd); err != nil {
			fail("%s: %v", f.name, err)
		}
		if crd.Kind != "CustomResourceDefinition" {
			continue
		}
		for _, v := range crd.Spec.Versions {
			k := kind{
				Group: crd.Spec.Group, Version: v.Name, Kind: crd.Spec.Names.Kind, Plural: crd.Spec.Names.Plural,
				Short: crd.Spec.Names.ShortNames, Namespaced: crd.Spec.Scope == "Namespaced", Status: v.Subresources.Status != nil,
			}
			if !v.Served || p.have[k.Group+"/"+k.Kind+"/"+k.Version] {
				continue
			}
			k.Root = p.node(v.Schema.OpenAPIV3Schema)
			p.add(k)
			var whole object
			check(yaml.Unmarshal([]byte(text), &whole))
			p.whole[k.Plural+"."+k.Group] = whole
		}
	}
}

// node packs a schema of a CustomResourceDefinition.
func (p *pack) node(schema object) int {
	out := object{}
	for _, key := range sorted(schema) {
		value := schema[key]
		switch key {
		case "description", "title", "example", "externalDocs", "$schema", "id":
		case "properties", "patternProperties":
			numbers := object{}
			for _, name := range sorted(value.(object)) {
				numbers[name] = p.node(value.(object)[name].(object))
			}
			out[key] = numbers
		case "items", "not":
			out[key] = p.node(value.(object))
		case "additionalProperties":
			if child, ok := value.(object); ok {
				out[key] = p.node(child)
			} else {
				out[key] = value
			}
		case "allOf", "anyOf", "oneOf":
			var numbers []int
			for _, child := range value.([]any) {
				numbers = append(numbers, p.node(child.(object)))
			}
			out[key] = numbers
		default:
			out[key] = value
		}
	}
	return p.intern(out)
}

func (p *pack) intern(node object) int {
	text := encode(node)
	if number, ok := p.known[string(text)]; ok {
		return number
	}
	p.nodes = append(p.nodes, text)
	p.known[string(text)] = len(p.nodes) - 1
	return len(p.nodes) - 1
}

// Kinds of Kubernetes that are packed, with what its OpenAPI says in other places.
var core = []kind{
	{Kind: "ConfigMap", Version: "v1", Plural: "configmaps", Short: []string{"cm"}, Namespaced: true},
	{Kind: "Endpoints", Version: "v1", Plural: "endpoints", Short: []string{"ep"}, Namespaced: true},
	{Kind: "Namespace", Version: "v1", Plural: "namespaces", Short: []string{"ns"}, Status: true},
	{Kind: "Secret", Version: "v1", Plural: "secrets", Namespaced: true},
	{Kind: "Service", Version: "v1", Plural: "services", Short: []string{"svc"}, Namespaced: true, Status: true},
	{Group: "discovery.k8s.io", Kind: "EndpointSlice", Version: "v1", Plural: "endpointslices", Namespaced: true},
	{Group: "networking.k8s.io", Kind: "Ingress", Version: "v1", Plural: "ingresses", Short: []string{"ing"}, Namespaced: true, Status: true},
	{Group: "networking.k8s.io", Kind: "IngressClass", Version: "v1", Plural: "ingressclasses"},
	{Group: "networking.k8s.io", Kind: "NetworkPolicy", Version: "v1", Plural: "networkpolicies", Short: []string{"netpol"}, Namespaced: true},
	{Group: "admissionregistration.k8s.io", Kind: "ValidatingAdmissionPolicy", Version: "v1", Plural: "validatingadmissionpolicies", Status: true},
	{Group: "admissionregistration.k8s.io", Kind: "ValidatingAdmissionPolicyBinding", Version: "v1", Plural: "validatingadmissionpolicybindings"},
}

// What every object has, as if it were a kind.
const metadata = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"

// openAPI packs the kinds of `core` that a published OpenAPI holds.
func (p *pack) openAPI(f file) {
	var api struct {
		Components struct{ Schemas map[string]object }
	}
	check(json.Unmarshal(f.text, &api))
	if !p.have["/ObjectMeta/"] {
		p.add(kind{Kind: "ObjectMeta", Typed: true, Root: p.typed(api.Components.Schemas, metadata)})
	}
	for _, name := range sorted(api.Components.Schemas) {
		schema := api.Components.Schemas[name]
		kinds, _ := schema["x-kubernetes-group-version-kind"].([]any)
		for _, known := range core {
			for _, is := range kinds {
				is := is.(object)
				if is["group"] == known.Group && is["kind"] == known.Kind && is["version"] == known.Version {
					known.Typed = true
					known.Root = p.typed(api.Components.Schemas, name)
					p.add(known)
				}
			}
		}
	}
}

// typed packs a Go type. Its number is known before its fields are, since types hold themselves.
func (p *pack) typed(all map[string]object, name string) int {
	if number, ok := p.refs[name]; ok {
		return number
	}
	number := len(p.nodes)
	p.nodes = append(p.nodes, nil)
	p.refs[name] = number
	out := p.goType(all, all[name])
	words := strings.Split(name, ".")
	out["go"] = strings.Join(words[max(0, len(words)-2):], ".")
	p.nodes[number] = encode(out)
	return number
}

// goType packs what decoding needs: defaults and required fields are in the code of each kind.
func (p *pack) goType(all map[string]object, schema object) object {
	out := object{}
	for _, key := range sorted(schema) {
		value := schema[key]
		switch key {
		case "type", "format":
			out[key] = value
		case "properties":
			numbers := object{}
			for _, name := range sorted(value.(object)) {
				numbers[name] = p.child(all, value.(object)[name].(object))
			}
			out[key] = numbers
		case "items":
			out[key] = p.child(all, value.(object))
		case "additionalProperties":
			out[key] = p.child(all, value.(object))
		}
	}
	return out
}

func (p *pack) child(all map[string]object, schema object) int {
	const prefix = "#/components/schemas/"
	if ref, ok := schema["$ref"].(string); ok {
		return p.typed(all, strings.TrimPrefix(ref, prefix))
	}
	if of, ok := schema["allOf"].([]any); ok && len(of) == 1 {
		return p.child(all, of[0].(object))
	}
	return p.intern(p.goType(all, schema))
}

// sorted gives the keys of a map in an order that is the same each time.
func sorted[V any](all map[string]V) []string {
	return slices.Sorted(maps.Keys(all))
}

// encode writes JSON with sorted keys and without escapes for HTML.
func encode(value any) []byte {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	check(encoder.Encode(value))
	return bytes.TrimRight(out.Bytes(), "\n")
}

func check(err error) {
	if err != nil {
		fail("%v", err)
	}
}

func fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "schemas: "+format+"\n", args...)
	os.Exit(1)
}
