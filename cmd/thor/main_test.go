package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	// The scripts start servers that are told by the clock whether they work: one
	// at a time, so that they do not take the processor from each other.
	if err := flag.Set("test.parallel", "1"); err != nil {
		panic(err)
	}
	testscript.Main(m, map[string]func(){"thor": main})
}

// TestScripts runs the files of testdata/script: they specify the command line.
// Besides the usual commands there are
//
//	server [flags]          starts a server on a free port, sets THOR_URL and PORT
//	ready                   waits until every job has run
//	shutdown                asks it to stop and checks that it ends well
//	exits CODE thor [args]  runs a command and checks its exit code
//	backend [flags]         starts a double of a backend on a free port, sets BACKEND
//	stopbackend             ends it
//	fetch URL               writes the status and the body of an answer to stdout
//	read NAME FILE          sets a variable to the content of a file
//	certificate             writes ca.pem, and server.crt and server.key for localhost
//
// UPDATE_SCRIPTS=1 writes what cmp compares anew.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
		Deadline:      time.Now().Add(6 * time.Minute), // a server that should be refused and is not runs for ever
		Setup: func(env *testscript.Env) error {
			s, b := &runningServer{}, &runningServer{}
			env.Values[serverKey{}], env.Values[backendKey{}] = s, b
			env.Defer(s.kill)
			env.Defer(b.kill)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"server":   startServer,
			"ready":    waitReady,
			"shutdown": stopServer,
			"exits":    checkExit,
			"certificate": func(ts *testscript.TestScript, _ bool, _ []string) {
				ts.Check(writeCertificate(ts.Getenv("WORK")))
			},
			"backend": startBackend,
			"stopbackend": func(ts *testscript.TestScript, _ bool, _ []string) {
				b, _ := ts.Value(backendKey{}).(*runningServer)
				b.kill()
				b.cmd = nil
			},
			"fetch": fetch,
			"await": await,
			"read": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile(args[1])))
			},
		},
	})
}

type serverKey struct{}

// runningServer is the server of a script.
type runningServer struct{ cmd *exec.Cmd }

func (s *runningServer) kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill() // the script did not stop it,
		_ = s.cmd.Wait()         // and does not want to know how it ended
	}
}

func startServer(ts *testscript.TestScript, _ bool, args []string) {
	s, _ := ts.Value(serverKey{}).(*runningServer)
	path, err := exec.LookPath("thor")
	ts.Check(err)
	s.cmd = exec.Command(path, append([]string{"serve", "--addr", "localhost:0"}, args...)...)
	s.cmd.Dir = ts.Getenv("WORK")
	for _, name := range []string{"THOR_AUTH_KEY", "THOR_FORCE", "WS_FEATURE_POSITIONS"} {
		if value := ts.Getenv(name); value != "" {
			s.cmd.Env = append(s.cmd.Environ(), name+"="+value)
		}
	}
	out, err := s.cmd.StdoutPipe()
	ts.Check(err)
	log, err := os.Create(filepath.Join(ts.Getenv("WORK"), "server.log"))
	ts.Check(err)
	ts.Defer(func() { ts.Check(log.Close()) })
	s.cmd.Stderr = log
	ts.Check(s.cmd.Start())
	reader := bufio.NewReader(out)
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			ts.Fatalf("the server ended: %v\n%s", s.cmd.Wait(), ts.ReadFile("server.log"))
		}
		if _, err := io.WriteString(log, line); err != nil {
			ts.Fatalf("%v", err)
		}
		if rest, ok := strings.CutPrefix(line, "page "); ok {
			url, _, _ := strings.Cut(rest, " ")
			ts.Setenv("THOR_URL", url)
			ts.Setenv("PORT", url[strings.LastIndex(url, ":")+1:])
		}
		if strings.HasPrefix(line, "Ctrl-C") {
			return
		}
	}
}

type backendKey struct{}

// startBackend starts a double of a backend.
func startBackend(ts *testscript.TestScript, _ bool, args []string) {
	b, _ := ts.Value(backendKey{}).(*runningServer)
	path, err := exec.LookPath("thor")
	ts.Check(err)
	b.cmd = exec.Command(path, append([]string{"sim", "backend", "--addr", "localhost:0"}, args...)...)
	b.cmd.Dir = ts.Getenv("WORK")
	out, err := b.cmd.StdoutPipe()
	ts.Check(err)
	log, err := os.Create(filepath.Join(ts.Getenv("WORK"), "backend.log"))
	ts.Check(err)
	ts.Defer(func() { ts.Check(log.Close()) })
	b.cmd.Stderr = log
	ts.Check(b.cmd.Start())
	for lines := bufio.NewScanner(out); lines.Scan(); {
		_, err := io.WriteString(log, lines.Text()+"\n")
		ts.Check(err)
		if url, ok := strings.CutPrefix(lines.Text(), "REST "); ok {
			ts.Setenv("BACKEND", url)
		}
		if strings.HasPrefix(lines.Text(), "Ctrl-C") {
			return
		}
	}
	ts.Fatalf("the backend ended: %v\n%s", b.cmd.Wait(), ts.ReadFile("backend.log"))
}

func fetch(ts *testscript.TestScript, _ bool, args []string) {
	_, err := io.WriteString(ts.Stdout(), answer(ts, args[0]))
	ts.Check(err)
}

// await fetches an address until the answer holds a text.
func await(ts *testscript.TestScript, _ bool, args []string) {
	last := ""
	for range 1200 { // a minute: on a machine at work the first run of the jobs is slow
		if last = answer(ts, args[0]); strings.Contains(last, args[1]) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("%s does not say %q, but %s", args[0], args[1], last)
}

func waitReady(ts *testscript.TestScript, neg bool, _ []string) {
	await(ts, neg, []string{ts.Getenv("THOR_URL") + "/readyz", "200 {"})
}

// answer is the status and body of what an address answers, in a line.
func answer(ts *testscript.TestScript, url string) string {
	response, err := http.Get(url)
	ts.Check(err)
	body, err := io.ReadAll(response.Body)
	ts.Check(errors.Join(err, response.Body.Close()))
	return fmt.Sprintf("%d %s\n", response.StatusCode, body)
}

func stopServer(ts *testscript.TestScript, _ bool, _ []string) {
	s, _ := ts.Value(serverKey{}).(*runningServer)
	if runtime.GOOS == "windows" { // there is no signal to ask with
		s.kill()
		s.cmd = nil
		return
	}
	ts.Check(s.cmd.Process.Signal(syscall.SIGTERM))
	err := s.cmd.Wait()
	s.cmd = nil
	ts.Check(err)
}

func checkExit(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	code := 0
	err = ts.Exec(args[1], args[2:]...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}

// writeCertificate makes an authority, and a certificate of it for localhost.
func writeCertificate(dir string) error {
	write := func(name, kind string, der []byte) error {
		return os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
	}
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a test"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	server := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, NotBefore: authority.NotBefore, NotAfter: authority.NotAfter,
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	ca, err := x509.CreateCertificate(rand.Reader, authority, authority, &caKey.PublicKey, caKey)
	if err != nil {
		return err
	}
	leaf, err := x509.CreateCertificate(rand.Reader, server, authority, &key.PublicKey, caKey)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(write("ca.pem", "CERTIFICATE", ca), write("server.crt", "CERTIFICATE", leaf), write("server.key", "PRIVATE KEY", secret))
}
