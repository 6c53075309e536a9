package thor

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// reading returns the Read of a feature whose payload is T: it is strict, and
// names by its path every member that the payload does not have, every value
// that does not fit, and what Validate finds.
func reading[T Payload](build func(T) Message) func(json.RawMessage) (Message, error) {
	return func(data json.RawMessage) (Message, error) {
		var payload T
		var f faults
		f.read("", data, reflect.ValueOf(&payload).Elem())
		if err := f.err(); err != nil {
			return Message{}, err
		}
		m := build(payload)
		return m, m.Data.Validate()
	}
}

// read puts a JSON value where it belongs, and notes what does not fit.
func (f *faults) read(path string, raw json.RawMessage, into reflect.Value) {
	switch target := into.Addr().Interface().(type) {
	case *time.Time:
		if json.Unmarshal(raw, target) != nil || target.IsZero() {
			f.add(path, "%.40s is not a time; write it with its zone, like \"2026-11-23T15:30:00Z\"", raw)
		}
		return
	case *Decimal:
		if isContainer(raw) || json.Unmarshal(raw, target) != nil {
			f.add(path, "%.40s is not a number; write 105000.25, \"105000.25\", or null for unknown", raw)
		}
		return
	}
	switch into.Kind() {
	case reflect.Struct:
		f.readObject(path, raw, into)
	case reflect.Slice:
		f.readList(path, raw, into)
	default:
		if bytes.Equal(raw, []byte("null")) || json.Unmarshal(raw, into.Addr().Interface()) != nil {
			f.add(path, "%.40s is not a %s", raw, into.Kind())
		}
	}
}

func (f *faults) readObject(path string, raw json.RawMessage, into reflect.Value) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		f.add(path, "%.40s is not an object", raw)
		return
	}
	fields := map[string]int{}
	for i := range into.NumField() {
		name, _, _ := strings.Cut(into.Type().Field(i).Tag.Get("json"), ",")
		fields[name] = i
	}
	seen := map[string]bool{}
	for d.More() {
		name, value, err := member(d)
		if err != nil {
			f.add(path, "is not JSON: %v", err)
			return
		}
		i, known := fields[name]
		at := join(path, name)
		switch {
		case !known:
			f.add(at, "there is no such field")
		case seen[name]:
			f.add(at, "is there twice")
		default:
			f.read(at, value, into.Field(i))
		}
		seen[name] = true
	}
}

func (f *faults) readList(path string, raw json.RawMessage, into reflect.Value) {
	var items []json.RawMessage
	if json.Unmarshal(raw, &items) != nil || items == nil {
		f.add(path, "%.40s is not a list", raw)
		return
	}
	into.Set(reflect.MakeSlice(into.Type(), len(items), len(items)))
	for i, item := range items {
		f.read(join(path, strconv.Itoa(i)), item, into.Index(i))
	}
}

// member reads the next member of an object.
func member(d *json.Decoder) (name string, value json.RawMessage, err error) {
	token, err := d.Token()
	if err != nil {
		return "", nil, err
	}
	name, _ = token.(string) // the decoder takes nothing else there
	return name, value, d.Decode(&value)
}

func isContainer(raw json.RawMessage) bool { return len(raw) > 0 && (raw[0] == '{' || raw[0] == '[') }

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "/" + name
}
