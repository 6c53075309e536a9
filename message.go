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
	Final  bool   // the last word on its key: it is never conflated away
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
	if key := member(data, f.Key); m.Key == "" || m.Key != key {
		return Errorf(EINVALID, "%s: the key is %q, and %s in the data is %q", m.Stream, m.Key, f.Key, key)
	}
	owner := ""
	if param := f.Scope.Param(); param != "" {
		owner = member(data, param)
	}
	if m.Stream != NewStreamID(f.Name, owner) {
		return Errorf(EINVALID, "%s: the data belongs on the stream %s", m.Stream, NewStreamID(f.Name, owner))
	}
	return nil
}

// member returns a string among the members of a JSON object, "" when there is
// none of that name.
func member(data []byte, name string) string {
	d := json.NewDecoder(bytes.NewReader(data))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return ""
	}
	for d.More() {
		found, err := d.Token()
		if err != nil {
			return ""
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return ""
		}
		if found == name {
			var text string
			_ = json.Unmarshal(value, &text) // what is no string is no key
			return text
		}
	}
	return ""
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
