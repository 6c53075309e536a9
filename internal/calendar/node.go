package calendar

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
)

// maxDepth is how deep the values of a file may be nested.
const maxDepth = 16

// node is a JSON value that knows its place: nil, a bool, a string, a
// json.Number, a []node or a []member.
type node struct {
	place
	value any
}

// member is a name in an object and its value. A name may occur twice; it is
// for the reader to object.
type member struct {
	name string
	node
}

// kind is the word for what a node holds.
func (n node) kind() string {
	switch n.value.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case string:
		return "a string"
	case json.Number:
		return "a number"
	case []node:
		return "a list"
	default:
		return "an object"
	}
}

// scanner makes nodes of a file's text.
type scanner struct {
	file    string
	data    []byte
	dec     *json.Decoder
	counted int64 // bytes in which line ends were counted
	line    int
}

// scan reads the one JSON value of a file.
func scan(file string, data []byte) (node, error) {
	s := &scanner{file: file, data: data, dec: json.NewDecoder(bytes.NewReader(data)), line: 1}
	s.dec.UseNumber()
	n, err := s.next("", 0)
	if err != nil {
		return node{}, err
	}
	if _, err := s.dec.Token(); !errors.Is(err, io.EOF) {
		s.count()
		return node{}, s.fail("", "A file holds one exchange.", "something follows the end of the object")
	}
	return n, nil
}

func (s *scanner) at(path string) place { return place{file: s.file, line: s.line, path: path} }

func (s *scanner) fail(path, hint, format string, args ...any) error {
	return newFault(s.at(path), hint, format, args...).err
}

// count moves on to the line the decoder has reached.
func (s *scanner) count() {
	reached := s.dec.InputOffset()
	s.line += bytes.Count(s.data[s.counted:reached], []byte("\n"))
	s.counted = reached
}

func (s *scanner) token(path string) (json.Token, error) {
	tok, err := s.dec.Token()
	s.count()
	switch {
	case err == nil:
		return tok, nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		s.line = 1 + bytes.Count(bytes.TrimRight(s.data, "\n"), []byte("\n"))
		return nil, s.fail(path, "A bracket or a quotation mark is not closed.", "the file ends too early")
	default:
		return nil, s.fail(path, "Look for a comma, a bracket or a quotation mark here or on the line above.", "this is not JSON: %w", err)
	}
}

func (s *scanner) next(path string, depth int) (node, error) {
	tok, err := s.token(path)
	if err != nil {
		return node{}, err
	}
	n := node{place: s.at(path), value: tok}
	delim, ok := tok.(json.Delim)
	if !ok {
		return n, nil
	}
	if depth == maxDepth {
		return node{}, s.fail(path, readme, "nested more than %d deep", maxDepth)
	}
	if delim == '{' {
		n.value, err = s.members(path, depth)
	} else {
		n.value, err = s.items(path, depth)
	}
	return n, err
}

func (s *scanner) members(path string, depth int) ([]member, error) {
	members := []member{}
	for s.dec.More() {
		tok, err := s.token(path)
		if err != nil {
			return nil, err
		}
		name, ok := tok.(string)
		if !ok {
			panic("calendar: the decoder let a name pass that is not a string")
		}
		at := s.at(join(path, name))
		value, err := s.next(at.path, depth+1)
		if err != nil {
			return nil, err
		}
		value.place = at
		members = append(members, member{name: name, node: value})
	}
	_, err := s.token(path)
	return members, err
}

func (s *scanner) items(path string, depth int) ([]node, error) {
	items := []node{}
	for s.dec.More() {
		item, err := s.next(join(path, strconv.Itoa(len(items))), depth+1)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	_, err := s.token(path)
	return items, err
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "/" + name
}
