// Command figures measures what the README closes with, on the real binary, and
// prints each figure. On shared machines compare figures of one run only.
//
//	go run ./figures ../bin/thor
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/gobwas/ws"
)

const (
	starts = 11               // an odd number has a median
	rest   = 60 * time.Second // how long a server is left alone before its memory is read
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: figures BINARY")
		os.Exit(2)
	}
	if err := run(context.Background(), os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "figures:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, binary string) error {
	var page, frames, all []time.Duration
	for range starts {
		s, err := start(ctx, binary)
		if err != nil {
			return err
		}
		first, last, err := s.firstFrames(ctx)
		if err := errors.Join(err, s.stop()); err != nil {
			return err
		}
		page, frames, all = append(page, s.up), append(frames, first), append(all, last)
	}
	fmt.Printf("start to listening            median %4d ms, worst %4d ms of %d\n", ms(median(page)), ms(slices.Max(page)), starts)
	fmt.Printf("start to first frame          median %4d ms, worst %4d ms\n", ms(median(frames)), ms(slices.Max(frames)))
	fmt.Printf("start to all four features    median %4d ms, worst %4d ms\n", ms(median(all)), ms(slices.Max(all)))

	s, err := start(ctx, binary)
	if err != nil {
		return err
	}
	time.Sleep(rest)
	memory, err := residentMemory(s.cmd.Process.Pid)
	if err := errors.Join(err, s.stop()); err != nil {
		return err
	}
	fmt.Printf("memory at rest after %v    %.1f MB resident\n", rest, memory)
	return nil
}

func ms(d time.Duration) int64 { return d.Milliseconds() }

func median(list []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(list))[len(list)/2]
}

// server is a running binary on a fresh store.
type server struct {
	cmd   *exec.Cmd
	dir   string
	began time.Time
	up    time.Duration // until it listened
	addr  string
}

func start(ctx context.Context, binary string) (*server, error) {
	dir, err := os.MkdirTemp("", "thor-figures-")
	if err != nil {
		return nil, err
	}
	s := &server{dir: dir, cmd: exec.CommandContext(ctx, binary, "serve", "--addr", "127.0.0.1:0", "--data", dir)}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.began = time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "page http://"); ok {
			s.addr, _, _ = strings.Cut(rest, " ")
			s.up = time.Since(s.began)
			return s, nil
		}
	}
	return nil, errors.Join(errors.New("the server ended"), s.cmd.Wait())
}

func (s *server) stop() error {
	err := s.cmd.Process.Signal(os.Interrupt)
	_ = s.cmd.Wait() // the signal says why
	return errors.Join(err, os.RemoveAll(s.dir))
}

// firstFrames connects as the page does and returns how long after the start
// the first event came, and the last of the four features.
func (s *server) firstFrames(ctx context.Context) (first, last time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, reader, _, err := ws.Dial(ctx, "ws://"+s.addr+"/ws/")
	if err != nil {
		return 0, 0, err
	}
	defer conn.Close() //nolint:errcheck // it was read
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return 0, 0, err
	}
	if reader == nil {
		reader = bufio.NewReader(conn)
	}
	seen := map[string]bool{}
	for len(seen) < 4 {
		f, err := ws.ReadFrame(reader) //nolint:staticcheck // the frames are our own server's
		if err != nil {
			return 0, 0, err
		}
		var m struct {
			Stream string `json:"stream"`
		}
		if err := json.Unmarshal(f.Payload, &m); err != nil || m.Stream == "" || m.Stream == "cutover" {
			continue
		}
		if len(seen) == 0 {
			first = time.Since(s.began)
		}
		feature, _, _ := strings.Cut(m.Stream, ":")
		seen[feature] = true
	}
	return first, time.Since(s.began), nil
}

// residentMemory reads VmRSS, in MB.
func residentMemory(pid int) (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		var kb float64
		if n, _ := fmt.Sscanf(line, "VmRSS: %f kB", &kb); n == 1 {
			return kb / 1024, nil
		}
	}
	return 0, errors.New("no VmRSS")
}
