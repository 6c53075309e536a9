package thor

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Payload is the data of a message. Its JSON form ends with the member
// "timestamp", the source's own time, so that two payloads can be compared
// without it; a law in feature_test.go holds every feature to that.
type Payload interface {
	// Validate reports everything that is wrong, as [Error]s with a path.
	Validate() error
}

// Message is what a job publishes: a payload, the stream it belongs to, and its
// key within the stream. Build one with the builder of its noun, for instance
// [AccountBalanceMessage].
type Message struct {
	Type   string
	Stream StreamID
	Key    string // a newer message of the same key replaces an older one
	Final  bool   // the last word on its key; its lag policy is the feature's FinalPolicy
	Data   Payload
	Lost   int // how many values had more digits than the scale of their field
}

// Encode validates the message and returns its data as it goes out: the bytes
// that REST and WebSocket both carry. Type, stream, key and data must belong
// together, so that nobody's data can go out on a stream of somebody else.
func (m Message) Encode() (json.RawMessage, error) {
	if m.Data == nil {
		return nil, Errorf(EINVALID, "a message for %s without data", m.Stream)
	}
	if err := m.Stream.Validate(); err != nil {
		return nil, err
	}
	if err := m.Data.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", m.Stream, err)
	}
	data, err := json.Marshal(m.Data)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", m.Stream, err)
	}
	if m.Stream == CutoverStream {
		return data, nil
	}
	f, err := FeatureNamed(m.Stream.Feature())
	if err != nil {
		return nil, err
	}
	return data, f.fits(m, data)
}

// fits reports whether what a message says about its data is true.
func (f Feature) fits(m Message, data []byte) error {
	if m.Type != f.Type {
		return Errorf(EINVALID, "%s: the type is %q, and messages of %s have the type %s", m.Stream, m.Type, f.Name, f.Type)
	}
	key, owner := members(data, f.Key, f.Scope.Param())
	if m.Key == "" || m.Key != key {
		return Errorf(EINVALID, "%s: the key is %q, and %s in the data is %q", m.Stream, m.Key, f.Key, key)
	}
	if m.Final && f.FinalPolicy != PolicySequence {
		return Errorf(EINVALID, "%s: the message is final, and %s has no final messages", m.Stream, f.Name)
	}
	if m.Stream != NewStreamID(f.Name, owner) {
		return Errorf(EINVALID, "%s: the data belongs on the stream %s", m.Stream, NewStreamID(f.Name, owner))
	}
	return nil
}

// members returns two strings among the members of a JSON object, "" where there
// is none of that name. It looks no further than it must.
func members(data []byte, first, second string) (a, b string) {
	d := json.NewDecoder(bytes.NewReader(data))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return "", ""
	}
	for (a == "" && first != "" || b == "" && second != "") && d.More() {
		name, value, err := member(d)
		if err != nil {
			return a, b
		}
		if name == first {
			a = text(value)
		}
		if name == second {
			b = text(value)
		}
	}
	return a, b
}

// text is the string a JSON value is, or "".
func text(value json.RawMessage) string {
	var s string
	if json.Unmarshal(value, &s) != nil {
		return ""
	}
	return s
}

// SameBody reports whether two encoded payloads are equal but for their
// timestamp.
func SameBody(a, b []byte) bool { return bytes.Equal(body(a), body(b)) }

func body(data []byte) []byte {
	if i := bytes.LastIndex(data, []byte(`,"timestamp":`)); i >= 0 {
		return data[:i]
	}
	return data
}

func messages[T any](items []T, build func(T) Message) []Message {
	msgs := make([]Message, len(items))
	for i, item := range items {
		msgs[i] = build(item)
	}
	return msgs
}
