package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"thor"
	"thor/internal/calendar"
)

type marketsCommand struct {
	JSON      bool    `name:"json" help:"Print it as one line of JSON."`
	At        *string `name:"at" placeholder:"TIME" help:"At another time than now, for instance 2026-11-23T14:30:00Z. - reads times from standard input, one a line, and answers each with a line of JSON."`
	Calendars string  `name:"calendars" default:"${calendars}" env:"THOR_CALENDARS" help:"Folder of calendar files over the built-in ones, as the server reads it."`
	File      string  `name:"config" placeholder:"FILE" help:"Configuration file of the server, for its folder of calendars; thor.toml of this directory is read by itself."`
}

// Run says what the markets do. It needs no server.
func (c *marketsCommand) Run(ctx context.Context, m *Main) error {
	folder, err := calendar.OpenFolder(c.Calendars, time.Now())
	if err != nil {
		return err
	}
	days, at := folder.State().Calendar, time.Now().UTC().Truncate(time.Millisecond)
	if c.At != nil && *c.At == "-" {
		return answerAll(ctx, m.Stdin, m.Stdout, days)
	}
	if c.At != nil {
		if at, err = parseInstant(*c.At); err != nil {
			return usage{thor.Errorf(thor.EINVALID, "--at: %w", err)}
		}
	}
	if c.JSON {
		_, err := m.Stdout.Write((&answers{days: days}).at(at))
		return err
	}
	printMarkets(m.Stdout, days, at)
	return nil
}

// parseInstant reads a time with its zone. Without one it would be another
// instant on every machine.
func parseInstant(text string) (time.Time, error) {
	var t time.Time
	if err := t.UnmarshalText([]byte(text)); err == nil {
		return t.UTC(), nil
	}
	what := "is not a time"
	if _, err := time.Parse(time.DateOnly, text); err == nil {
		what = "is a date without a time of day and a zone"
	} else if _, err := time.Parse("2006-01-02T15:04:05", text); err == nil {
		what = "has no zone"
	}
	return t, fmt.Errorf("%q %s; write it like 2026-11-23T14:30:00Z or 2026-11-23T09:30:00-05:00", text, what)
}

// maxLine is how many bytes of standard input are read at a time, and so how
// long a line may be.
const maxLine = 64 << 10

// answerAll answers each line with a line, in order, until the end of the input
// or the first line that is no time. Blank lines have no answer. A program may
// wait for an answer before it writes the next line: nothing is held back while
// there is nothing to read.
func answerAll(ctx context.Context, in io.Reader, out io.Writer, days *calendar.Calendar) error {
	done := make(chan error, 1)
	go func() { done <- answerLines(in, out, days) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err() // a read of a terminal cannot be interrupted; it ends with the process
	}
}

func answerLines(in io.Reader, out io.Writer, days *calendar.Calendar) error {
	w := bufio.NewWriterSize(out, 1<<20)
	lines := bufio.NewScanner(flushing{in: in, out: w})
	lines.Buffer(make([]byte, maxLine), maxLine)
	a := &answers{days: days}
	n := 0
	for lines.Scan() {
		n++
		text := bytes.TrimSpace(lines.Bytes())
		if len(text) == 0 {
			continue
		}
		at, err := parseInstant(string(text))
		if err != nil {
			return errors.Join(usage{thor.Errorf(thor.EINVALID, "line %d: %w", n, err)}, w.Flush())
		}
		if _, err := w.Write(a.at(at)); err != nil {
			return err
		}
	}
	err := lines.Err()
	if errors.Is(err, bufio.ErrTooLong) {
		err = usage{thor.Errorf(thor.EINVALID, "line %d: longer than %d bytes; write one time a line", n+1, maxLine)}
	}
	return errors.Join(err, w.Flush())
}

// flushing writes out what has been answered before it waits for more.
type flushing struct {
	in  io.Reader
	out *bufio.Writer
}

func (f flushing) Read(p []byte) (int, error) {
	if err := f.out.Flush(); err != nil {
		return 0, err
	}
	return f.in.Read(p)
}

// marketLine is a market in an answer. The names are those of the wire; what is
// not known is absent.
type marketLine struct {
	MarketID    string           `json:"market_id"`
	Status      thor.MarketPhase `json:"status"`
	Trading     bool             `json:"trading"`
	NextEvent   thor.MarketPhase `json:"next_event,omitzero"`
	NextEventAt time.Time        `json:"next_event_at,omitzero"`
	SessionDate string           `json:"session_date,omitzero"`
	Provisional bool             `json:"provisional"`
}

// answers makes lines of JSON. Between two changes of any market only the time
// differs, so the rest is made once and kept by the change that ends it.
type answers struct {
	days *calendar.Calendar
	kept map[time.Time][]byte
	line []byte

	from, until time.Time // in which rest holds
	rest        []byte
}

// maxKept is how many answers are kept: a megabyte or two for each thousand.
const maxKept = 50_000

// at returns the line of an instant; it is valid until the next call.
func (a *answers) at(at time.Time) []byte {
	if at.Before(a.from) || !at.Before(a.until) {
		a.find(at)
	}
	a.line = append(a.line[:0], `{"at":"`...)
	a.line = at.AppendFormat(a.line, time.RFC3339Nano)
	a.line = append(a.line, a.rest...)
	return a.line
}

func (a *answers) find(at time.Time) {
	a.from, a.until = at, a.days.NextEvent(at)
	rest, ok := a.kept[a.until]
	if !ok {
		if a.kept == nil || len(a.kept) == maxKept {
			a.kept = map[time.Time][]byte{}
		}
		rest = render(a.days.Statuses(at))
		a.kept[a.until] = rest
	}
	a.rest = rest
}

// render returns all of a line that comes after its time.
func render(statuses []thor.MarketStatus) []byte {
	markets := make([]marketLine, len(statuses))
	for i, s := range statuses {
		markets[i] = marketLine{
			MarketID: s.MarketID, Status: s.Status, Trading: s.Trading, NextEvent: s.NextEvent, NextEventAt: s.NextEventAt,
			SessionDate: s.SessionDate, Provisional: s.Provisional,
		}
	}
	text, err := json.Marshal(markets)
	if err != nil {
		panic(err) // the type is ours
	}
	return append(append([]byte(`","markets":`), text...), "}\n"...)
}

// printMarkets prints a table for people.
func printMarkets(out io.Writer, days *calendar.Calendar, at time.Time) {
	fmt.Fprintln(out, at.Format("Mon 2006-01-02 15:04:05 UTC"))
	rows := [][]string{{"MARKET", "MIC", "STATUS", "SESSION", "NEXT", "LOCAL TIME", "IN", ""}}
	for _, s := range days.Statuses(at) {
		row := []string{s.Market, s.MarketID, string(s.Status), orDash(s.SessionDate), orDash(string(s.NextEvent)), "—", "—", note(days, s)}
		if s.NextEvent != "" {
			row[5] = localTime(s.NextEventAt, s.Timezone)
			row[6] = duration(s.NextEventAt.Sub(at).Round(time.Second))
		}
		rows = append(rows, row)
	}
	printTable(out, rows, len(rows[0]))
}

// note says what is special of a market's day: its name, and that the calendar
// is not the exchange's own word.
func note(days *calendar.Calendar, s thor.MarketStatus) string {
	if s.Status == thor.MarketUnknown {
		return "outside the years the calendar covers"
	}
	name := days.Occasion(s.MarketID, s.Timestamp)
	switch {
	case !s.Provisional:
		return name
	case name == "":
		return "provisional"
	}
	return name + ", provisional"
}

// localTime is an instant on the clock of a market, with the distance to UTC:
// the abbreviations of zones are the same in Shanghai and Chicago.
func localTime(at time.Time, zone string) string {
	loc, err := time.LoadLocation(zone)
	if err != nil {
		loc = time.UTC // it was loaded before
	}
	return at.In(loc).Format("Mon 2006-01-02 15:04 -07:00")
}

func orDash(text string) string {
	if text == "" {
		return "—"
	}
	return text
}
