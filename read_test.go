package thor_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"thor"
)

func TestRead(t *testing.T) {
	t.Parallel()
	for _, f := range thor.Features {
		t.Run("what goes out as "+f.Type+" reads back as the same message", func(t *testing.T) {
			t.Parallel()
			data := encode(t, f.Sample)
			m, err := f.Read(data)
			if err != nil {
				t.Fatal(err)
			}
			if m.Stream != f.Sample.Stream || m.Key != f.Sample.Key || m.Final != f.Sample.Final || m.Type != f.Sample.Type {
				t.Errorf("got %s %s %s final %v", m.Type, m.Stream, m.Key, m.Final)
			}
			if diff := cmp.Diff(string(data), string(encode(t, m))); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
	const balance = `{"account_id":"A-1","currency":"USD","cash":"1.005","equity":2.5,"portfolio_value":null,"buying_power":"","source":"django","timestamp":"2026-11-23T15:30:00+01:00"}`
	t.Run("numbers may be strings, unknown stays unknown, times become UTC, values get their scale", func(t *testing.T) {
		t.Parallel()
		m, err := read("account_balance", json.RawMessage(balance))
		if err != nil {
			t.Fatal(err)
		}
		const want = `{"account_id":"A-1","currency":"USD","cash":1.00,"equity":2.50,"portfolio_value":null,"buying_power":null,"source":"django","timestamp":"2026-11-23T14:30:00Z"}`
		if diff := cmp.Diff(want, string(encode(t, m))); diff != "" || m.Lost != 1 {
			t.Errorf("%d values lost digits; -want +got:\n%s", m.Lost, diff)
		}
	})
	for what, c := range map[string]struct {
		kind, data string
		paths      []string
	}{
		"no object":                   {"positions", `[1]`, []string{""}},
		"null":                        {"positions", `null`, []string{""}},
		"nothing":                     {"account_balance", `{}`, []string{"account_id", "currency", "source", "timestamp"}},
		"unknown and wrong ones":      {"account_balance", `{"account_id":7,"cash":{"a":1},"equity":"1,5","net_liq":1,"timestamp":"yesterday"}`, []string{"account_id", "cash", "equity", "net_liq", "timestamp"}},
		"a time without a zone":       {"account_balance", strings.Replace(balance, "+01:00", "", 1), []string{"timestamp"}},
		"a member twice":              {"account_balance", strings.Replace(balance, `"source"`, `"cash":1,"source"`, 1), []string{"cash"}},
		"rows and their members":      {"positions", `{"account_id":"A-1","positions":[{"symbol":"EQ.AAPL","qty":1},2],"timestamp":"2026-11-23T15:30:00Z"}`, []string{"positions/0/qty", "positions/1"}},
		"no list":                     {"positions", `{"account_id":"A-1","positions":null,"timestamp":"2026-11-23T15:30:00Z"}`, []string{"positions"}},
		"a truth that is a word":      {"intraday_bar", `{"final":"yes"}`, []string{"final"}},
		"a bar outside of its bounds": {"intraday_bar", `{"symbol":"FUT.ES","display":"/ES","country":"USA","timestamp_minute":"2026-11-23T15:29:00Z","open":1,"high":1,"low":2,"close":1,"volume":1,"vwap":1,"final":true,"timestamp":"2026-11-23T15:30:00Z"}`, []string{"high"}},
	} {
		t.Run(what+" is refused by path", func(t *testing.T) {
			t.Parallel()
			_, err := read(c.kind, json.RawMessage(c.data))
			if thor.ErrorCode(err) != thor.EINVALID {
				t.Fatalf("got %v", err)
			}
			if diff := cmp.Diff(c.paths, paths(err)); diff != "" {
				t.Errorf("%v\npaths -want +got:\n%s", err, diff)
			}
		})
	}
}

// read reads the data of a message of a type.
func read(kind string, data json.RawMessage) (thor.Message, error) {
	f, err := thor.FeatureOfType(kind)
	if err != nil {
		return thor.Message{}, err
	}
	return f.Read(data)
}

// paths are the places an error names.
func paths(err error) []string {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []string
		for _, e := range joined.Unwrap() {
			all = append(all, paths(e)...)
		}
		return all
	}
	if e, ok := errors.AsType[*thor.Error](err); ok {
		return []string{e.Path}
	}
	return nil
}

func FuzzRead(f *testing.F) {
	for _, feature := range thor.Features {
		data, err := feature.Sample.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(feature.Type, []byte(data))
	}
	f.Fuzz(func(t *testing.T, kind string, data []byte) {
		m, err := read(kind, data)
		if err != nil {
			if thor.ErrorCode(err) != thor.EINVALID {
				t.Errorf("code %s: %v", thor.ErrorCode(err), err)
			}
			return
		}
		out, err := m.Encode()
		if err != nil {
			t.Fatalf("it was read and cannot be written: %v", err)
		}
		again, err := read(kind, out)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v\n%s", err, out)
		}
		if second, err := again.Encode(); err != nil || string(second) != string(out) {
			t.Errorf("%v\n%s\n%s", err, out, second)
		}
	})
}
