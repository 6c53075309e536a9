package main

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"thor"
)

// unions are the string types that have a few values only.
func unions() map[reflect.Type][]string {
	names := func(n int, name func(i int) string) []string {
		list := make([]string, n)
		for i := range list {
			list[i] = name(i)
		}
		return list
	}
	stages, phases := thor.Stages(), thor.MarketPhases()
	return map[reflect.Type][]string{
		reflect.TypeFor[thor.Stage]():       names(len(stages), func(i int) string { return stages[i].String() }),
		reflect.TypeFor[thor.MarketPhase](): names(len(phases), func(i int) string { return string(phases[i]) }),
		reflect.TypeFor[thor.DataSource]():  {string(thor.DataSourceREST), string(thor.DataSourceWS)},
		reflect.TypeFor[thor.AssetClass](): {
			string(thor.AssetEquity), string(thor.AssetFuture), string(thor.AssetCrypto),
			string(thor.AssetOption), string(thor.AssetFX), string(thor.AssetIndex),
		},
	}
}

// writer writes each type once, those it is made of before it.
type writer struct {
	out    io.Writer
	unions map[reflect.Type][]string
	done   map[reflect.Type]bool
}

// typescript writes the types of all payloads, and the table of the features.
func typescript(out io.Writer) error {
	w := &writer{out: out, unions: unions(), done: map[reflect.Type]bool{}}
	fmt.Fprint(out, "// Generated from the Go types by `make generate`. Do not edit.\n\n")
	fmt.Fprint(out, "/** An exact decimal with a fixed number of digits; null is unknown, never zero. */\n")
	fmt.Fprint(out, "export type Decimal = number | null;\n\n")
	types := []reflect.Type{}
	for _, f := range thor.Features {
		types = append(types, reflect.TypeOf(f.Sample.Data))
	}
	types = append(types, reflect.TypeFor[thor.FeatureStage](), reflect.TypeFor[thor.Heartbeat](), reflect.TypeFor[thor.DataSource]())
	for _, t := range types {
		if err := w.declare(t); err != nil {
			return err
		}
	}
	fmt.Fprint(out, "/** The data of each message type of a feature. */\nexport interface Payloads {\n")
	for _, f := range thor.Features {
		fmt.Fprintf(out, "  %s: %s;\n", f.Type, reflect.TypeOf(f.Sample.Data).Name())
	}
	fmt.Fprint(out, "}\n\n")
	return w.features()
}

// features writes the table of the features.
func (w *writer) features() error {
	type row struct {
		Name      string `json:"name"`
		Type      string `json:"type"`
		Path      string `json:"path"`
		Param     string `json:"param"`
		List      string `json:"list"`
		Key       string `json:"key"`
		Window    int    `json:"window"`
		CadenceMS int64  `json:"cadenceMs"`
		Private   bool   `json:"private"`
	}
	fmt.Fprint(w.out, "/** The features, in their default cutover order. */\nexport const features = [\n")
	for _, f := range thor.Features {
		line, err := json.Marshal(row{f.Name, f.Type, f.Path, f.Scope.Param(), f.List, f.Key, f.Window, f.Cadence.Milliseconds(), f.Private()})
		if err != nil {
			return err
		}
		fmt.Fprintf(w.out, "  %s,\n", line)
	}
	fmt.Fprint(w.out, "] as const;\n\nexport type FeatureName = (typeof features)[number][\"name\"];\n")
	return nil
}

// declare writes a named type and, before it, those it is made of.
func (w *writer) declare(t reflect.Type) error {
	if w.done[t] {
		return nil
	}
	w.done[t] = true
	if values, ok := w.unions[t]; ok {
		fmt.Fprintf(w.out, "export type %s = \"%s\";\n\n", t.Name(), strings.Join(values, `" | "`))
		return nil
	}
	if t.Kind() != reflect.Struct {
		return fmt.Errorf("the type %s has no form in TypeScript", t)
	}
	var body strings.Builder
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" { // not on the wire
			continue
		}
		if name == "" {
			return fmt.Errorf("the field %s.%s has no name in JSON", t, f.Name)
		}
		form, err := w.form(f.Type)
		if err != nil {
			return fmt.Errorf("%s.%s: %w", t, f.Name, err)
		}
		optional := ""
		if strings.Contains(options, "omitzero") {
			optional = "?"
		}
		fmt.Fprintf(&body, "  %s%s: %s;\n", name, optional, form)
	}
	fmt.Fprintf(w.out, "export interface %s {\n%s}\n\n", t.Name(), body.String())
	return nil
}

// form is how a type is written where it is used.
func (w *writer) form(t reflect.Type) (string, error) {
	switch {
	case t == reflect.TypeFor[thor.Decimal]():
		return "Decimal", nil
	case t == reflect.TypeFor[time.Time](), t == reflect.TypeFor[thor.StreamID]():
		return "string", nil
	case w.unions[t] != nil:
		return t.Name(), w.declare(t)
	}
	switch t.Kind() {
	case reflect.String:
		return "string", nil
	case reflect.Bool:
		return "boolean", nil
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return "number", nil
	case reflect.Slice:
		item, err := w.form(t.Elem())
		return item + "[]", err
	case reflect.Map:
		value, err := w.form(t.Elem())
		return "Record<string, " + value + ">", err
	case reflect.Struct:
		return t.Name(), w.declare(t)
	default:
		return "", fmt.Errorf("the type %s has no form in TypeScript", t)
	}
}
