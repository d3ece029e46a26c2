package kubelet

import (
	"fmt"
	"strings"
)

// Program is what runs in place of an image.
type Program struct {
	// Argv is the entry point: the first element a path on this machine, the rest its first arguments.
	Argv []string
	// Beside are further programs that the container finds in its PATH.
	Beside []string
}

// Images maps an image's repository path, without registry, tag and digest, to the program that stands in for it.
type Images map[string]Program

// repository strips an image reference to its path: "host:5000/a/b:v1@sha256:…" gives "a/b".
func repository(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if slash := strings.LastIndexByte(image, '/'); strings.LastIndexByte(image, ':') > slash {
		image = image[:strings.LastIndexByte(image, ':')]
	}
	first, rest, found := strings.Cut(image, "/")
	if found && (strings.ContainsAny(first, ".:") || first == "localhost") {
		return rest
	}
	return image
}

// Find gives the program for an image.
func (i Images) Find(image string) (Program, bool) {
	program, found := i[repository(image)]
	return program, found
}

// Add reads NAME=PROGRAM[,BESIDE...], as the command line has it.
func (i Images) Add(text string) error {
	name, programs, found := strings.Cut(text, "=")
	paths := strings.Split(programs, ",")
	if !found || name == "" || paths[0] == "" {
		return fmt.Errorf("%q is not NAME=PROGRAM[,PROGRAM...]", text)
	}
	i[repository(name)] = Program{Argv: paths[:1], Beside: paths[1:]}
	return nil
}
