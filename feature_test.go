package thor_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"thor"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestFeatures holds every feature to the laws that the rest of the server
// relies on. A new feature comes under them by being in the list.
func TestFeatures(t *testing.T) {
	t.Parallel()
	names, paths, types := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, f := range thor.Features {
		if names[f.Name] || paths[f.Path] || types[f.Type] {
			t.Errorf("%s shares its name, path or type with another feature", f.Name)
		}
		names[f.Name], paths[f.Path], types[f.Type] = true, true, true
	}
	for _, f := range thor.Features {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			t.Run("its name, type and path are well formed", func(t *testing.T) {
				t.Parallel()
				word := regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
				if !word.MatchString(f.Name) || !word.MatchString(f.Type) || !regexp.MustCompile(`^/api/[a-z/-]+$`).MatchString(f.Path) {
					t.Errorf("name %q, type %q, path %q", f.Name, f.Type, f.Path)
				}
				if f.List != "" && !word.MatchString(f.List) || f.Window > 0 && f.List == "" {
					t.Errorf("list %q with a window of %d", f.List, f.Window)
				}
				if got, err := thor.FeatureNamed(f.Name); err != nil || got.Path != f.Path {
					t.Errorf("it is not found by its name: %v", err)
				}
			})
			t.Run("its lag policy is one for entries that are stored", func(t *testing.T) {
				t.Parallel()
				if f.Policy != thor.PolicyMerge || f.FinalPolicy > thor.PolicySequence {
					t.Errorf("policies %v and %v; a stream is of entries that merge, and of final ones in sequence", f.Policy, f.FinalPolicy)
				}
				m := f.Sample
				m.Final = true
				if _, err := m.Encode(); (err == nil) != (f.FinalPolicy == thor.PolicySequence) {
					t.Errorf("a final message: %v, and the policy of final ones is %v", err, f.FinalPolicy)
				}
				if got := (thor.Event{Stream: m.Stream, Final: true}).Policy(); got != f.FinalPolicy {
					t.Errorf("a final event has the policy %v, want %v", got, f.FinalPolicy)
				}
			})
			t.Run("its sample belongs to it", func(t *testing.T) {
				t.Parallel()
				m := f.Sample
				if m.Type != f.Type || m.Stream.Feature() != f.Name || m.Key == "" || m.Lost != 0 {
					t.Errorf("sample %s of type %q with the key %q, %d values lost digits", m.Stream, m.Type, m.Key, m.Lost)
				}
				if (m.Stream.Owner() == "") != (f.Scope == thor.ScopeShared) || m.Stream.Private() != f.Private() {
					t.Errorf("stream %s does not fit the scope", m.Stream)
				}
				if _, err := m.Encode(); err != nil {
					t.Errorf("encode: %v", err)
				}
			})
			t.Run("a message that does not fit its data is refused", func(t *testing.T) {
				t.Parallel()
				for what, forge := range map[string]func(m *thor.Message){
					"another type":        func(m *thor.Message) { m.Type = `x","evil":"1` },
					"no key":              func(m *thor.Message) { m.Key = "" },
					"another key":         func(m *thor.Message) { m.Key += "x" },
					"another owner":       func(m *thor.Message) { m.Stream = thor.NewStreamID(f.Name, "somebody-else") },
					"a stream of nothing": func(m *thor.Message) { m.Stream = "nothing:PAPER-1" },
				} {
					m := f.Sample
					forge(&m)
					if _, err := m.Encode(); err == nil {
						t.Errorf("%s was encoded", what)
					}
				}
				bare := f.Sample
				bare.Stream = thor.StreamID(f.Name)
				if _, err := bare.Encode(); (err == nil) != (f.Scope == thor.ScopeShared) {
					t.Errorf("on the stream without an owner: %v", err)
				}
			})
			t.Run("its data ends with the source's timestamp", func(t *testing.T) {
				t.Parallel()
				data := encode(t, f.Sample)
				if !regexp.MustCompile(`,"timestamp":"[^"]+Z"}$`).Match(data) || bytes.Count(data, []byte(`"timestamp":`)) != 1 {
					t.Errorf("data %s", data)
				}
				later := encode(t, withTimestamp(f.Sample, time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)))
				if bytes.Equal(data, later) || !thor.SameBody(data, later) {
					t.Errorf("a later timestamp alone makes another body:\n%s\n%s", data, later)
				}
			})
			t.Run("its data reads back as it was", func(t *testing.T) {
				t.Parallel()
				data := encode(t, f.Sample)
				back := reflect.New(reflect.TypeOf(f.Sample.Data))
				if err := json.Unmarshal(data, back.Interface()); err != nil {
					t.Fatal(err)
				}
				again, err := json.Marshal(back.Elem().Interface())
				if diff := cmp.Diff(string(data), string(again)); diff != "" || err != nil {
					t.Errorf("%v (-want +got):\n%s", err, diff)
				}
			})
			t.Run("no float and no zero for what nobody set", func(t *testing.T) {
				t.Parallel()
				noFloats(t, reflect.TypeOf(f.Sample.Data), f.Name)
				empty, err := json.Marshal(reflect.New(reflect.TypeOf(f.Sample.Data)).Elem().Interface())
				if err != nil {
					t.Fatal(err)
				}
				if regexp.MustCompile(`:-?0(\.0+)?[,}]`).Match(empty) {
					t.Errorf("unset numbers are zero: %s", empty)
				}
			})
			t.Run("nothing set is invalid, and every fault is named", func(t *testing.T) {
				t.Parallel()
				empty, ok := reflect.TypeAssert[thor.Payload](reflect.New(reflect.TypeOf(f.Sample.Data)).Elem())
				if !ok {
					t.Fatal("not a payload")
				}
				err := empty.Validate()
				if thor.ErrorCode(err) != thor.EINVALID || !strings.Contains(err.Error(), "timestamp") {
					t.Errorf("got %v", err)
				}
			})
			t.Run("its wire form is the golden one", func(t *testing.T) {
				t.Parallel()
				e := thor.Event{
					Stream: f.Sample.Stream, Version: thor.Version{Epoch: "k3f9", Seq: 1042}, Type: f.Type, Key: f.Sample.Key,
					Time: time.UnixMilli(1_795_447_800_123), Data: encode(t, f.Sample),
				}
				golden(t, f.Name+".json", e.AppendEnvelope(nil, ""))
			})
		})
	}
}

func encode(t *testing.T, m thor.Message) []byte {
	t.Helper()
	data, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// withTimestamp returns the message with another time in its data.
func withTimestamp(m thor.Message, at time.Time) thor.Message {
	data := reflect.New(reflect.TypeOf(m.Data)).Elem()
	data.Set(reflect.ValueOf(m.Data))
	data.FieldByName("Timestamp").Set(reflect.ValueOf(at))
	m.Data, _ = reflect.TypeAssert[thor.Payload](data)
	return m
}

// noFloats looks for a binary float anywhere in a payload.
func noFloats(t *testing.T, typ reflect.Type, path string) {
	t.Helper()
	switch typ.Kind() {
	case reflect.Float32, reflect.Float64:
		t.Errorf("%s is a %s: numbers are exact", path, typ)
	case reflect.Slice, reflect.Pointer, reflect.Map, reflect.Array:
		noFloats(t, typ.Elem(), path+"[]")
	case reflect.Struct:
		if typ == reflect.TypeFor[thor.Decimal]() || typ == reflect.TypeFor[time.Time]() {
			return
		}
		for field := range typ.Fields() {
			noFloats(t, field.Type, path+"."+field.Name)
		}
	default:
	}
}

// golden compares with a file of testdata, one JSON value on a line.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, append(got, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.TrimSpace(string(want)), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestCutoverMessage(t *testing.T) {
	t.Parallel()
	m := thor.CutoverMessage(thor.FeatureStage{
		Feature: "positions", Stage: thor.StageCanary, Rev: 12, Weight: 25, Reason: "looks good",
		Since: time.Date(2026, 11, 23, 15, 30, 0, 0, time.UTC),
	})
	if m.Stream != thor.CutoverStream || m.Key != "positions" || m.Stream.Private() {
		t.Errorf("message %+v", m)
	}
	golden(t, "cutover.json", encode(t, m))
	if _, err := thor.CutoverMessage(thor.FeatureStage{Weight: 101}).Encode(); err == nil {
		t.Error("an impossible stage was encoded")
	}
}

func TestHeartbeatEnvelope(t *testing.T) {
	t.Parallel()
	h := thor.Heartbeat{
		Timestamp: time.Date(2026, 11, 23, 15, 30, 0, 0, time.UTC), HeartbeatCount: 7, IntervalMS: 5000, StaleAfterMS: 15000, ActiveJobs: 4,
		Streams: map[thor.StreamID]thor.StreamTip{"global_market": {Seq: 3, AgeMS: 120, CadenceMS: 0}},
	}
	got, err := h.AppendEnvelope(nil, time.UnixMilli(1_795_447_800_123))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "heartbeat.json", got)
}

func TestStages(t *testing.T) {
	t.Parallel()
	for i, s := range thor.Stages() {
		back, err := thor.ParseStage(s.String())
		if err != nil || back != s || int(s) != i {
			t.Errorf("%d: %s came back as %s, %v", i, s, back, err)
		}
		if s.Publishes() != (s != thor.StageOff) {
			t.Errorf("%s publishes: %v", s, s.Publishes())
		}
	}
	if _, err := thor.ParseStage("Live"); thor.ErrorCode(err) != thor.EINVALID || !strings.Contains(err.Error(), "rampdown") {
		t.Errorf("an unknown stage: %v", err)
	}
	var s thor.Stage
	if err := json.Unmarshal([]byte(`"canary"`), &s); err != nil || s != thor.StageCanary {
		t.Errorf("read %s, %v", s, err)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	cause := os.ErrNotExist
	err := thor.Errorf(thor.ENOTFOUND, "no bar for %s: %w", "FUT.ES", cause).WithHint("Ask for %s.", "another")
	wrapped := fmt.Errorf("read: %w", err)
	if thor.ErrorCode(wrapped) != thor.ENOTFOUND || thor.ErrorCode(cause) != thor.EINTERNAL || thor.ErrorCode(nil) != "" {
		t.Error("codes are lost on the way")
	}
	if want := "read: no bar for FUT.ES: file does not exist. Ask for another."; wrapped.Error() != want {
		t.Errorf("got %q, want %q", wrapped, want)
	}
}

func TestStreamIDs(t *testing.T) {
	t.Parallel()
	good := []thor.StreamID{"global_market", "cutover", "positions:PAPER-1", "intraday:CRYPTO.BTC-USD", thor.StreamID("positions:" + strings.Repeat("x", 64))}
	for _, id := range good {
		if err := id.Validate(); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	bad := []thor.StreamID{"", ":", "positions:", ":A", "positions:A B", "positions:A:B", "positions:ä", "a/b", thor.StreamID("positions:" + strings.Repeat("x", 65))}
	for _, id := range bad {
		if err := id.Validate(); thor.ErrorCode(err) != thor.EINVALID {
			t.Errorf("%q passed: %v", string(id), err)
		}
	}
	if id := thor.NewStreamID("positions", "PAPER-1"); id.Feature() != "positions" || id.Owner() != "PAPER-1" || !id.Private() {
		t.Errorf("%s", id)
	}
	if thor.StreamID("nothing:A").Private() != true || thor.StreamID("intraday:X").Private() {
		t.Error("an unknown feature is public, or bars are private")
	}
}

func TestPositionTotalsAreSumsOfRoundedRows(t *testing.T) {
	t.Parallel()
	row := func(symbol, value string) thor.Position {
		p := thor.Position{
			Symbol: symbol, Display: symbol, AssetClass: thor.AssetClassOf(symbol), Currency: "USD",
			Quantity: thor.MustDecimal("1"), Multiplier: thor.MustDecimal("1"),
		}
		if value != "" {
			p.MarketValue, p.PnL = thor.MustDecimal(value), thor.MustDecimal("1")
		}
		return p
	}
	rows := []thor.Position{row("EQ.A", "0.125"), row("EQ.B", "0.135")}
	m := thor.PositionsMessage(thor.Positions{AccountID: "A", Positions: rows, Timestamp: time.Now()})
	sent, ok := m.Data.(thor.Positions)
	if !ok || sent.Totals.MarketValue.String() != "0.26" || m.Lost != 2 { // 0.12 + 0.14
		t.Errorf("totals %+v, %d values lost digits", sent.Totals, m.Lost)
	}
	if rows[0].MarketValue.String() != "0.125" {
		t.Error("the caller's rows were changed")
	}
	unknown := thor.PositionsMessage(thor.Positions{AccountID: "A", Positions: []thor.Position{row("EQ.A", "1"), row("EQ.B", "")}})
	if sent, ok := unknown.Data.(thor.Positions); !ok || sent.Totals.MarketValue.Known() {
		t.Errorf("a total over an unknown value is %s, want unknown", sent.Totals.MarketValue)
	}
	empty := thor.PositionsMessage(thor.Positions{AccountID: "A", Timestamp: time.Now()})
	if data := encode(t, empty); !bytes.Contains(data, []byte(`"positions":[],"totals":{"market_value":0.00`)) {
		t.Errorf("no positions: %s", data)
	}
}

func TestValidationNamesThePath(t *testing.T) {
	t.Parallel()
	price := thor.MustDecimal("10")
	bar := thor.Bar{
		Symbol: "FUT.ES", Display: "/ES", Country: "USA", TimestampMinute: time.Date(2026, 1, 1, 10, 0, 0, 0, time.UTC),
		Open: price, High: price, Low: price, Close: price, Volume: price, Timestamp: time.Now(),
	}
	if err := bar.Validate(); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		change func(*thor.Bar)
		want   string
	}{
		{"a symbol that is no id", func(b *thor.Bar) { b.Symbol = "/ES" }, "symbol:"},
		{"not on a minute", func(b *thor.Bar) { b.TimestampMinute = b.TimestampMinute.Add(time.Second) }, "timestamp_minute:"},
		{"an unknown price", func(b *thor.Bar) { b.Close = thor.Decimal{} }, "close:"},
		{"a high below the close", func(b *thor.Bar) { b.High = thor.MustDecimal("9") }, "high:"},
		{"a negative volume", func(b *thor.Bar) { b.Volume = thor.MustDecimal("-1") }, "volume:"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := bar
			tt.change(&b)
			if err := b.Validate(); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
	positions := thor.Positions{AccountID: "A", Timestamp: time.Now(), Positions: []thor.Position{
		{Symbol: "EQ.A", Display: "A", AssetClass: thor.AssetFuture, Quantity: price, Multiplier: price, Currency: "USD"},
		{Symbol: "EQ.A", Display: "A", AssetClass: thor.AssetEquity, Quantity: price, Multiplier: price, Currency: "USD"},
	}}
	err := positions.Validate()
	for _, want := range []string{"positions/0/asset_class", "positions/1/symbol"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, f := range thor.Features {
		b.Run(f.Name, func(b *testing.B) {
			for b.Loop() {
				if _, err := f.Sample.Encode(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
