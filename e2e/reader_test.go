//go:build e2e

package e2e

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// page is a document for people, which a test reads as they do.
type page struct {
	path   string // below the root of the project
	blocks []block
	inline []block // `code` in the running text
}

// block is a fenced block of a page.
type block struct {
	line int    // of its first line of text
	lang string // behind the fence
	mark string // the comment above the fence, <!-- file: order.go -->, without its signs
	text string
}

var inlineCode = regexp.MustCompile("`([^`]+)`")

// parsePage takes a page apart. What looks like code and is none of what a reader
// knows what to do with is an error, so that nothing is left out in silence.
func parsePage(path, text string) (page, error) {
	p := page{path: path}
	fault := func(line int, format string, args ...any) (page, error) {
		return p, fmt.Errorf("%s:%d: "+format, append([]any{path, line}, args...)...)
	}
	mark, open := "", false
	for i, line := range strings.Split(text, "\n") {
		fence := strings.TrimLeft(line, " ")
		switch {
		case open && line == "```":
			open, mark = false, ""
		case open:
			p.blocks[len(p.blocks)-1].text += line + "\n"
		case strings.HasPrefix(fence, "~~~"), strings.HasPrefix(fence, "```") && fence != line, strings.HasPrefix(line, "    "), strings.HasPrefix(line, "\t"):
			return fault(i+1, "code stands between lines of three backticks, which are not indented")
		case strings.HasPrefix(line, "```"):
			open = true
			p.blocks = append(p.blocks, block{line: i + 2, lang: strings.TrimPrefix(line, "```"), mark: mark})
		default:
			mark = ""
			if inner, ok := strings.CutPrefix(line, "<!-- "); ok {
				mark = strings.TrimSuffix(inner, " -->")
			}
			for _, m := range inlineCode.FindAllStringSubmatch(line, -1) {
				p.inline = append(p.inline, block{line: i + 1, text: m[1]})
			}
		}
	}
	if open {
		return fault(p.blocks[len(p.blocks)-1].line, "the block has no end")
	}
	for i, b := range p.blocks {
		kind, _, _ := strings.Cut(b.mark, ": ")
		known := b.lang == "sh" || b.lang == "toml" || b.lang == "text" && i > 0 && p.blocks[i-1].lang == "sh" || slices.Contains([]string{"file", "line", "from"}, kind)
		if !known {
			return fault(b.line, "a block of %q is neither run (sh), nor taken (toml), nor printed (text, below sh), nor has it a mark above it (<!-- file: PATH -->, line: PATH after LINE, from: PATH)", b.lang)
		}
		if strings.TrimSpace(b.text) == "" {
			return fault(b.line, "the block is empty")
		}
	}
	return p, nil
}

func readPage(t *testing.T, path string) page {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", path))
	if err != nil {
		t.Fatal(err)
	}
	p, err := parsePage(path, string(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// edit puts lines into the text of a file, as a mark says: features.go after
// globalMarketFeature(), or jobs/jobs.go before return jobs.
func (b block) edit(mark string, read func(path string) ([]byte, error)) (path string, edited []byte, err error) {
	m := regexp.MustCompile(`^(\S+) (after|before) (.+)$`).FindStringSubmatch(mark)
	if m == nil {
		return "", nil, fmt.Errorf("the mark is not PATH after LINE, nor PATH before LINE: %q", mark)
	}
	text, err := read(m[1])
	if err != nil {
		return "", nil, err
	}
	lines := strings.SplitAfter(string(text), "\n")
	at := slices.IndexFunc(lines, func(line string) bool { return strings.TrimSpace(line) == m[3] })
	if at < 0 {
		return "", nil, fmt.Errorf("%s has no line %q", m[1], m[3])
	}
	if m[2] == "after" {
		at++
	}
	return m[1], []byte(strings.Join(slices.Insert(lines, at, b.text), "")), nil
}

// A reader sits before a clone of the project and does what a page says, block
// by block, in order and to the letter:
//
//   - sh: each command is run by bash, as many lines as it has. The variables it
//     sets and the directory it goes to are there for the next. It ends by itself
//     and well, unless the page shows how it fails: a line that begins with
//     "thor: ". serve, sim backend and watch go on instead; the reader waits until
//     they have printed what the page shows. watch has been seen enough then, and
//     gets a Ctrl-C; so does a server when the next one of its kind is started.
//   - text: what the block above it prints. Its lines are there in this order,
//     with others between them; … stands for anything, a number for any number,
//     space for any space. Commands that only look are run again until it is so.
//     An answer of REST that is a problem is none, unless it is shown, or the
//     comment behind the command has its status: # 403.
//   - toml: settings, or tables of a mapping, which stand in the place of those of
//     the preset; the server takes them.
//   - a mark above a block: file: PATH writes it; line: PATH after LINE, or
//     before LINE, puts it into a file; from: PATH says that it stands there.
//
// Commands in the running text are not run, but they are commands, with the flags
// they have there.
//
// One thing is not to the letter: another port stands wherever the page has
// localhost:8000 and localhost:8001, for those may be somebody's. THOR_ADDR and
// THOR_URL say so to commands that name none, and sim backend, which has no
// variable, has --addr written out. What is printed is read with the page's own
// ports.
type reader struct {
	t     *testing.T
	page  page
	dir   string // the clone
	cwd   string
	env   []string
	ports map[string]string // by that of the page
	going map[string]*going // by kind: serve, sim backend
}

// going is a command that does not end by itself.
type going struct {
	at     string // where the page has it
	cmd    *exec.Cmd
	out    *output
	exited chan error
}

// output collects what commands print.
type output struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// How long a reader waits for a command to end, a build on a busy machine say, to
// print what it should, and to stop upon Ctrl-C.
const (
	patienceToEnd  = 3 * time.Minute
	patienceToSee  = time.Minute
	patienceToStop = 20 * time.Second
)

// readerOf copies the project, without what is not in its repository, and gives
// the reader the environment of a new terminal.
func readerOf(t *testing.T, path string) *reader {
	t.Helper()
	dir := t.TempDir()
	err := filepath.WalkDir("..", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(dir, strings.TrimPrefix(name, ".."))
		switch {
		case entry.IsDir() && name != ".." && slices.Contains([]string{".git", ".bin", "bin", "node_modules", "thor-data"}, entry.Name()):
			return fs.SkipDir
		case entry.IsDir():
			return os.MkdirAll(target, 0o700)
		case !entry.Type().IsRegular():
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(target, text, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	r := &reader{t: t, page: readPage(t, path), dir: dir, cwd: dir, going: map[string]*going{}}
	r.ports = map[string]string{"8000": freePort(t), "8001": freePort(t)}
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "THOR_") && !strings.HasPrefix(entry, "PYTHON") {
			r.env = append(r.env, entry)
		}
	}
	r.env = append(r.env, "THOR_ADDR=localhost:"+r.ports["8000"], "THOR_URL=http://localhost:"+r.ports["8000"])
	t.Cleanup(r.leave)
	return r
}

// freePort returns a port nobody has, of those the system gives nobody who asks
// for any.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		port := strconv.Itoa(20000 + rand.IntN(10000))
		l, err := net.Listen("tcp", "localhost:"+port)
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return port
	}
	t.Fatal("no port is free")
	return ""
}

// walk does all that the page says.
func (r *reader) walk() {
	r.t.Helper()
	for i, b := range r.page.blocks {
		kind, mark, _ := strings.Cut(b.mark, ": ")
		var shown []string
		if i+1 < len(r.page.blocks) && r.page.blocks[i+1].lang == "text" {
			shown = strings.Split(strings.TrimSpace(r.page.blocks[i+1].text), "\n")
		}
		var err error
		switch {
		case b.lang == "sh":
			begun := time.Now()
			r.run(b, shown)
			r.t.Logf("%5.1f s %s: %s", time.Since(begun).Seconds(), r.at(b.line), strings.TrimSpace(b.text))
		case kind == "file":
			err = r.write(mark, []byte(r.local(b.text)))
		case kind == "line":
			var path string
			var edited []byte
			if path, edited, err = b.edit(mark, r.read); err == nil {
				err = r.write(path, edited)
			}
		case kind == "from":
			var text []byte
			if text, err = r.read(mark); err == nil && !bytes.Contains(text, []byte(b.text)) {
				err = fmt.Errorf("this does not stand in %s", mark)
			}
		case b.lang == "toml":
			err = r.takes(b.text)
		}
		if err != nil {
			r.t.Fatalf("%s: %v", r.at(b.line), err)
		}
	}
	for _, b := range r.page.inline {
		r.mention(b)
	}
}

// takes looks whether the server takes a piece of its configuration.
func (r *reader) takes(text string) error {
	file := filepath.Join(r.t.TempDir(), "piece.toml")
	cmd := exec.CommandContext(r.t.Context(), binary, "config", "check", "--config", file)
	tables := regexp.MustCompile(`(?m)^\[+(\w+)`).FindAllStringSubmatch(text, -1)
	if tables != nil { // of a mapping
		mapping, err := exec.CommandContext(r.t.Context(), binary, "upstream", "preset", "thor").Output()
		if err != nil {
			return err
		}
		for _, table := range tables {
			mapping = regexp.MustCompile(`(?m)^\[+`+table[1]+`\b.*\n([^\[].*\n|\n)*`).ReplaceAll(mapping, nil)
		}
		text = string(mapping) + "\n" + text
		cmd = exec.CommandContext(r.t.Context(), binary, "config", "check", "--upstream", "http://localhost:8001", "--upstream-config", file)
	}
	cmd.Dir, cmd.Env = r.dir, os.Environ()
	for _, m := range regexp.MustCompile(`\$(\w+)`).FindAllStringSubmatch(text, -1) {
		cmd.Env = append(cmd.Env, m[1]+"=x")
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("the server does not take it: %s", out)
	}
	return nil
}

// mention looks whether a command in the running text is one: its help says so,
// and has its flags. Other words that begin with thor are not commands.
func (r *reader) mention(b block) {
	r.t.Helper()
	words := strings.Fields(strings.ReplaceAll(b.text, "…", ""))
	if len(words) < 2 || words[0] != "thor" || exec.CommandContext(r.t.Context(), binary, words[1], "--help").Run() != nil {
		return
	}
	args, flags := words[1:], []string(nil)
	if i := slices.IndexFunc(args, func(word string) bool { return strings.HasPrefix(word, "-") }); i >= 0 {
		args, flags = args[:i], args[i:]
	}
	help, err := exec.CommandContext(r.t.Context(), binary, append(slices.Clone(args), "--help")...).CombinedOutput()
	if err != nil {
		r.t.Errorf("%s: `%s` is no command: %s", r.at(b.line), b.text, help)
	}
	for _, flag := range flags {
		if name, _, _ := strings.Cut(flag, "="); strings.HasPrefix(name, "-") && !regexp.MustCompile(regexp.QuoteMeta(name)+`\b`).Match(help) {
			r.t.Errorf("%s: `%s`: there is no %s", r.at(b.line), b.text, name)
		}
	}
}

func (r *reader) at(line int) string { return fmt.Sprintf("%s:%d", r.page.path, line) }

func (r *reader) read(path string) ([]byte, error) { return os.ReadFile(filepath.Join(r.dir, path)) }

func (r *reader) write(path string, text []byte) error {
	path = filepath.Join(r.dir, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

// local is a text of the page with the ports of this machine, and global one of
// this machine with the ports of the page.
func (r *reader) local(text string) string {
	text = regexp.MustCompile(`\bsim backend\b( *--addr| *#| *$)?`).ReplaceAllStringFunc(text, func(found string) string {
		if strings.HasSuffix(found, "--addr") {
			return found
		}
		return strings.Replace(found, "sim backend", "sim backend --addr localhost:8001", 1)
	})
	for theirs, ours := range r.ports {
		text = strings.ReplaceAll(text, "localhost:"+theirs, "localhost:"+ours)
	}
	return text
}

func (r *reader) global(text string) string {
	for theirs, ours := range r.ports {
		text = strings.ReplaceAll(text, "localhost:"+ours, "localhost:"+theirs)
	}
	return text
}

// typed is what is typed at once.
type typed struct {
	at   string
	text string
}

// commands takes a block apart: a command has as many lines as bash needs.
func (r *reader) commands(b block) []typed {
	r.t.Helper()
	var list []typed
	text, line := "", 0
	for i, l := range strings.Split(strings.TrimSuffix(b.text, "\n"), "\n") {
		if text == "" {
			if l = strings.TrimSpace(l); l == "" || strings.HasPrefix(l, "#") {
				continue
			}
			line = b.line + i
		}
		text += l + "\n"
		// What is missing at the end of a here-document is only a warning.
		if out, err := exec.CommandContext(r.t.Context(), "bash", "-n", "-c", text).CombinedOutput(); err == nil && len(out) == 0 && !strings.HasSuffix(text, "\\\n") {
			list = append(list, typed{r.at(line), text})
			text = ""
		}
	}
	if text != "" || len(list) == 0 {
		r.t.Fatalf("%s: nothing that bash can run: %s", r.at(b.line), text)
	}
	return list
}

var (
	goesOn    = regexp.MustCompile(`\bthor (serve|sim backend|watch)\b`)
	endsIt    = regexp.MustCompile(`--help|^timeout |\| *(head|grep -m) `)
	onlyLooks = regexp.MustCompile(`^(\S*thor (status|markets|audit|version|upstream check|source check|config|cutover( history)?\b *[a-z_]*)|curl)\b`)
	changes   = regexp.MustCompile(`^curl .*(-d|--data\S*|-X|--request|-T|--json|-F)\b|[|>;&]`)
)

// run runs the commands of a block, until they print what is shown.
func (r *reader) run(b block, shown []string) {
	r.t.Helper()
	list := r.commands(b)
	looking := !slices.ContainsFunc(list, func(c typed) bool { return !onlyLooks.MatchString(c.text) || changes.MatchString(c.text) })
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	for until := time.Now().Add(patienceToSee); ; <-tick.C {
		var said strings.Builder
		wrong := ""
		for i, c := range list {
			if kind := goesOn.FindStringSubmatch(c.text); kind != nil && !endsIt.MatchString(c.text) {
				promised := shown
				if i < len(list)-1 {
					promised = nil // what is shown is the last one's
				}
				fmt.Fprint(&said, r.start(c, kind[1], promised))
				continue
			}
			out, err := r.end(c)
			said.WriteString(out)
			fails := slices.ContainsFunc(shown, func(line string) bool { return strings.HasPrefix(line, "thor: ") })
			if err != nil && !fails {
				r.t.Fatalf("%s: %s%v\n%s", c.at, c.text, err, out)
			}
			wrong = cmp.Or(wrong, wrongProblem(c.text+strings.Join(shown, "\n"), out))
		}
		missing := cmp.Or(missingLine(shown, said.String()), wrong)
		switch {
		case missing == "":
			return
		case !looking || time.Now().After(until):
			r.t.Fatalf("%s: of what the page shows this is missing: %s\n%sprints\n%s%s", list[len(list)-1].at, missing, b.text, said.String(), r.others())
		}
	}
}

// end runs a command that ends by itself.
func (r *reader) end(c typed) (string, error) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patienceToEnd)
	defer cancel()
	after := filepath.Join(r.t.TempDir(), "after")
	// What is set is there for the next command, exported or not.
	cmd := exec.CommandContext(ctx, "bash", "-c", "set -a\n"+r.local(c.text)+"code=$?\nenv -0 >"+after+"\npwd >"+after+".cwd\nexit $code")
	cmd.Dir, cmd.Env = r.cwd, r.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = patienceToStop
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		err = errors.New("it does not end; of commands that go on the reader knows serve, sim backend and watch")
	}
	if env, err := os.ReadFile(after); err == nil {
		r.env = strings.Split(strings.TrimSuffix(string(env), "\x00"), "\x00")
	}
	if cwd, err := os.ReadFile(after + ".cwd"); err == nil {
		r.cwd = strings.TrimSpace(string(cwd))
	}
	return r.global(string(out)), err
}

// start starts a command that goes on, waits until it has printed what is shown,
// and returns it. A server goes on until the next of its kind is started.
func (r *reader) start(c typed, kind string, shown []string) string {
	r.t.Helper()
	r.stop(kind)
	g := &going{at: c.at, out: &output{}, exited: make(chan error, 1)}
	g.cmd = exec.Command("bash", "-c", r.local(c.text))
	g.cmd.Dir, g.cmd.Env, g.cmd.Stdout, g.cmd.Stderr = r.cwd, r.env, g.out, g.out
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := g.cmd.Start(); err != nil {
		r.t.Fatalf("%s: %v", c.at, err)
	}
	go func() { g.exited <- g.cmd.Wait() }()
	r.going[kind] = g
	last := "Ctrl-C stops it."
	if kind == "watch" {
		last = "[WS] …"
		defer r.stop(kind)
	}
	if missingLine([]string{last}, strings.Join(shown, "\n")) != "" {
		shown = append(slices.Clone(shown), last)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for until := time.Now().Add(patienceToSee); ; {
		missing := missingLine(shown, r.global(g.out.String()))
		select {
		case err := <-g.exited:
			g.exited <- err
			r.t.Fatalf("%s: %sit should go on, and has ended: %v\n%s", c.at, c.text, err, g.out)
		case <-tick.C:
		}
		if missing == "" {
			return r.global(g.out.String())
		}
		if time.Now().After(until) {
			r.t.Fatalf("%s: %sit should print this, and does not: %s\n%s%s", c.at, c.text, missing, r.global(g.out.String()), r.others())
		}
	}
}

// stop sends what goes on a Ctrl-C, upon which it ends well.
func (r *reader) stop(kind string) {
	r.t.Helper()
	g := r.going[kind]
	if g == nil {
		return
	}
	delete(r.going, kind)
	_ = syscall.Kill(-g.cmd.Process.Pid, syscall.SIGINT) // it may have ended
	select {
	case err := <-g.exited:
		if err != nil {
			r.t.Errorf("%s: Ctrl-C: %v\n%s", g.at, err, g.out)
		}
	case <-time.After(patienceToStop):
		_ = syscall.Kill(-g.cmd.Process.Pid, syscall.SIGKILL) // nothing else is left
		r.t.Errorf("%s: it does not end upon Ctrl-C: %v\n%s", g.at, <-g.exited, g.out)
	}
}

// leave ends what still goes on.
func (r *reader) leave() {
	for kind := range r.going {
		r.stop(kind)
	}
}

// others is what the commands that go on have said, for a failure.
func (r *reader) others() string {
	var said strings.Builder
	for kind, g := range r.going {
		fmt.Fprintf(&said, "\n%s of %s said\n%s", kind, g.at, r.global(g.out.String()))
	}
	return said.String()
}

var (
	problems = regexp.MustCompile(`"type":"urn:thor:problem:.*"status":(\d+)`)
	statuses = regexp.MustCompile(`# ([45]\d\d)\b`)
)

// wrongProblem returns what is wrong with an answer that is a problem and should
// not be, or the other way round, or "".
func wrongProblem(page, printed string) string {
	want, got := statuses.FindStringSubmatch(page), problems.FindStringSubmatch(printed)
	switch {
	case want == nil && got != nil && !strings.Contains(page, "urn:thor:problem:"):
		return "an answer that is no problem"
	case want != nil && (got == nil || got[1] != want[1]):
		return "a problem with the status " + want[1]
	}
	return ""
}

// missingLine returns the first of the lines that is not there, in order, or "".
func missingLine(shown []string, printed string) string {
	lines := strings.Split(printed, "\n")
	for _, want := range shown {
		if strings.TrimSpace(want) == "…" || strings.TrimSpace(want) == "" {
			continue
		}
		pattern := pattern(want)
		at := slices.IndexFunc(lines, pattern.MatchString)
		if at < 0 {
			return want
		}
		lines = lines[at+1:]
	}
	return ""
}

var (
	spaces  = regexp.MustCompile(`\s+`)
	numbers = regexp.MustCompile(`\d+(\\\.\d+)?`) // with the point quoted
)

// pattern is what a line of the page stands for.
func pattern(line string) *regexp.Regexp {
	text := regexp.QuoteMeta(strings.TrimSpace(line))
	text = spaces.ReplaceAllString(text, `\s+`)
	text = numbers.ReplaceAllString(text, `\d+(\.\d+)?`)
	return regexp.MustCompile(strings.ReplaceAll(text, "…", ".*"))
}

// TestAPageIsRunOrRefused holds that no block of a page is passed over.
func TestAPageIsRunOrRefused(t *testing.T) {
	t.Parallel()
	const run = "```sh\nthor status\n```\n"
	for text, want := range map[string]string{
		run + "\nprints\n\n```text\nall is well\n```\n":          "",
		"<!-- file: a.go -->\n```go\npackage a\n```\n":           "",
		"```bash\nthor status\n```\n":                            `p.md:2: a block of "bash" is neither run`,
		"```\nthor status\n```\n":                                `p.md:2: a block of "" is neither run`,
		"```text\nall is well\n```\n" + run:                      `p.md:2: a block of "text" is neither run`,
		"```toml\naddr = 1\n```\n":                               "",
		"```go\npackage a\n```\n":                                `p.md:2: a block of "go" is neither run`,
		"<!-- file: a.go -->\n\n```go\npackage a\n```\n":         `p.md:4: a block of "go" is neither run`,
		"1. So:\n   ```sh\n   thor status\n   ```\n":             "p.md:2: code stands between",
		"So:\n\n    thor status\n":                               "p.md:3: code stands between",
		"~~~sh\nthor status\n~~~\n":                              "p.md:1: code stands between",
		"```sh\nthor status\n":                                   "p.md:2: the block has no end",
		"```sh\n\n```\n":                                         "p.md:2: the block is empty",
		strings.Repeat("\n", 7) + "```console\nthor status\n```": `p.md:9: a block of "console"`,
	} {
		got := ""
		if _, err := parsePage("p.md", text); err != nil {
			got = err.Error()
		}
		if (want == "") != (got == "") || !strings.HasPrefix(got, want) {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// TestWhatAPageShowsIsThere holds what the signs of a page stand for.
func TestWhatAPageShowsIsThere(t *testing.T) {
	t.Parallel()
	const printed = "thor 0.1.0 · up 6 s\nFEATURE   LAST\norders  0.1 s\nbars      —\nthe end (1)\n"
	for shown, want := range map[string]string{
		"thor 0.1.0 · up 6 s\nFEATURE LAST\norders 0.1 s\nbars —": "",
		"thor 2.34.5 · …\norders 17 s\n…\nthe end (20)":           "",
		"  orders    3.5 s  ":   "",
		"orders 0.1 m":          "orders 0.1 m",
		"orders 0.1 s\nFEATURE": "FEATURE", // not in this order
		"the end":               "",
		"the end [1]":           "the end [1]",
		"bars 1 s":              "bars 1 s",
		"orders …\norders …":    "orders …", // there is one
	} {
		if got := missingLine(strings.Split(shown, "\n"), printed); got != want {
			t.Errorf("%q: missing is %q, want %q", shown, got, want)
		}
	}
}
