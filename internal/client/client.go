// Package client talks to a server from Go, over REST and over WebSocket, as
// any client does. The commands are built on it.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"thor"
	"thor/internal/api"
)

// Client is a server elsewhere.
type Client struct {
	URL   string // http://localhost:8000
	Token string // "" is none
	CA    string // PEM file with an authority besides those of this machine; "" is none
	Agent string // the User-Agent
}

const (
	timeout   = 10 * time.Second
	maxAnswer = 4 << 20
)

// Status asks for the state of the server.
func (c *Client) Status(ctx context.Context) (api.Status, error) {
	var s api.Status
	err := c.do(ctx, http.MethodGet, "/api/status", nil, nil, &s)
	return s, err
}

// Consumers asks who asks REST for the features.
func (c *Client) Consumers(ctx context.Context) (api.Census, error) {
	var census api.Census
	err := c.do(ctx, http.MethodGet, "/api/consumers", nil, nil, &census)
	return census, err
}

// Features asks where every feature stands.
func (c *Client) Features(ctx context.Context) ([]api.FeatureState, error) {
	var answer struct {
		Features []api.FeatureState `json:"features"`
	}
	err := c.do(ctx, http.MethodGet, "/api/features", nil, nil, &answer)
	return answer.Features, err
}

// Feature asks where a feature stands.
func (c *Client) Feature(ctx context.Context, feature string) (api.FeatureState, error) {
	var s api.FeatureState
	err := c.do(ctx, http.MethodGet, featurePath(feature, ""), nil, nil, &s)
	return s, err
}

// Step is what a promotion or a rollback did.
type Step struct {
	thor.Transition
	Changed bool   `json:"changed"`
	Durable bool   `json:"durable"`
	Trouble string `json:"trouble"`
}

// Move is what a promotion or a rollback asks for; empty fields leave it to the
// server.
type Move struct {
	To     string `json:"to,omitempty"`
	Weight int    `json:"weight,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// Promote moves a feature one step forward from the revision rev.
func (c *Client) Promote(ctx context.Context, feature string, rev uint64, m Move) (Step, error) {
	var step Step
	header := http.Header{"If-Match": {fmt.Sprintf(`"%d"`, rev)}}
	err := c.do(ctx, http.MethodPost, featurePath(feature, "/promote"), header, m, &step)
	return step, err
}

// Rollback moves a feature back.
func (c *Client) Rollback(ctx context.Context, feature string, m Move) (Step, error) {
	var step Step
	err := c.do(ctx, http.MethodPost, featurePath(feature, "/rollback"), nil, m, &step)
	return step, err
}

// Freeze stops steps forward of a feature.
func (c *Client) Freeze(ctx context.Context, feature, reason string) (Step, error) {
	var step Step
	err := c.do(ctx, http.MethodPost, featurePath(feature, "/freeze"), nil, Move{Reason: reason}, &step)
	return step, err
}

// Unfreeze allows steps forward again.
func (c *Client) Unfreeze(ctx context.Context, feature, reason string) (Step, error) {
	var step Step
	err := c.do(ctx, http.MethodPost, featurePath(feature, "/unfreeze"), nil, Move{Reason: reason}, &step)
	return step, err
}

// Audit asks for what was done to all features, newest first.
func (c *Client) Audit(ctx context.Context) (api.Audit, error) {
	var a api.Audit
	err := c.do(ctx, http.MethodGet, "/api/audit", nil, nil, &a)
	return a, err
}

// History asks for the transitions of a feature, newest first.
func (c *Client) History(ctx context.Context, feature string) ([]thor.Transition, error) {
	var answer struct {
		History []thor.Transition `json:"history"`
	}
	err := c.do(ctx, http.MethodGet, featurePath(feature, "/history"), nil, nil, &answer)
	return answer.History, err
}

func featurePath(feature, rest string) string {
	return "/api/features/" + url.PathEscape(feature) + rest
}

// do sends a request and decodes the answer, or the problem.
func (c *Client) do(ctx context.Context, method, path string, header http.Header, in, out any) error {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
		header = header.Clone()
		if header == nil {
			header = http.Header{}
		}
		header.Set("Content-Type", "application/json")
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	response, err := c.send(ctx, method, path, header, body)
	if err != nil {
		return err
	}
	defer response.Body.Close() //nolint:errcheck // it was read
	data, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return c.unreachable(err)
	}
	if response.StatusCode >= http.StatusBadRequest {
		return problem(response, data)
	}
	if err := json.Unmarshal(data, out); err != nil {
		return thor.Errorf(thor.EUNAVAILABLE, "%s%s does not answer as a thor server does: %w", c.URL, path, err)
	}
	return nil
}

func (c *Client) send(ctx context.Context, method, path string, header http.Header, body io.Reader) (*http.Response, error) {
	base, err := c.base()
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, method, base+path, body)
	if err != nil {
		return nil, err
	}
	maps.Copy(request.Header, header)
	request.Header.Set("User-Agent", c.Agent)
	if c.Token != "" {
		request.Header.Set("Authorization", "Bearer "+c.Token)
	}
	trust, err := c.trust()
	if err != nil {
		return nil, err
	}
	client := http.DefaultClient
	if trust != nil {
		client = &http.Client{Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: trust, DisableKeepAlives: true, // there is one request
		}}
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, c.unreachable(err)
	}
	return response, nil
}

// trust is how a server is believed to be the one it says; nil is as this
// machine does.
func (c *Client) trust() (*tls.Config, error) {
	if c.CA == "" {
		return nil, nil //nolint:nilnil // as the packages that take it
	}
	data, err := os.ReadFile(c.CA)
	if err != nil {
		return nil, thor.Errorf(thor.EINVALID, "--ca: the file cannot be read: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool() // this machine has none
	}
	if !roots.AppendCertsFromPEM(data) {
		return nil, thor.Errorf(thor.EINVALID, "--ca: %s has no certificate in PEM", c.CA)
	}
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, nil
}

// base is the URL without a slash at the end.
func (c *Client) base() (string, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", thor.Errorf(thor.EINVALID, "%q is not the URL of a server", c.URL).
			WithHint("Write it like http://localhost:8000, with --url or THOR_URL.")
	}
	return strings.TrimSuffix(c.URL, "/"), nil
}

// unreachable says in one line what is wrong with the way to the server.
func (c *Client) unreachable(err error) error {
	reason := err.Error()
	dns, unknownName := errors.AsType[*net.DNSError](err)
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, syscall.ECONNREFUSED):
		reason = "nothing listens there"
	case unknownName:
		reason = "the name " + dns.Name + " is not known"
	case errors.Is(err, context.DeadlineExceeded):
		reason = "it does not answer"
	default:
		if fault := tlsFault(err); fault != nil {
			return thor.Errorf(thor.EUNAVAILABLE, "the server at %s cannot be reached over TLS: %s", c.URL, fault.Message).WithHint("%s", fault.Hint)
		}
	}
	return thor.Errorf(thor.EUNAVAILABLE, "the server at %s cannot be reached: %s", c.URL, reason).
		WithHint("Start it with: thor serve; or name another with --url or THOR_URL.")
}

// tlsFault says why there is no TLS with a server that answers, or nil.
func tlsFault(err error) *thor.Error {
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || errors.Is(err, http.ErrSchemeMismatch) {
		return thor.Errorf(thor.EUNAVAILABLE, "it does not speak TLS").WithHint("Try http:// instead of https://.")
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return thor.Errorf(thor.EUNAVAILABLE, "its certificate is from an authority this machine does not know").
			WithHint("Name the authority with --ca or THOR_CA.")
	}
	if verify, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return thor.Errorf(thor.EUNAVAILABLE, "%s", strings.TrimPrefix(verify.Err.Error(), "x509: ")).
			WithHint("The server needs another certificate, or --url another name of it.")
	}
	return nil
}

const howToSignIn = "Send a token with --token or THOR_TOKEN; thor token create makes one, with the server's key."

// problem is the error of an answer.
func problem(response *http.Response, body []byte) error {
	var p api.Problem
	if strings.Contains(string(body), "HTTP request to an HTTPS server") {
		return thor.Errorf(thor.EUNAVAILABLE, "the server speaks TLS").WithHint("Write its URL with https:// in --url or THOR_URL.")
	}
	if err := json.Unmarshal(body, &p); err != nil || p.Type == "" {
		return thor.Errorf(thor.EUNAVAILABLE, "the server answered %s, and not as a thor server does", response.Status)
	}
	err := thor.Errorf(thor.Code(strings.TrimPrefix(p.Type, "urn:thor:problem:")), "%s", p.Detail)
	if err.Code == thor.EUNAUTHORIZED { // the hint of REST is for those who write requests
		return err.WithHint(howToSignIn)
	}
	for _, d := range p.Errors {
		err.Message += fmt.Sprintf("; %s: %s", d.Path, d.Message)
	}
	if p.Hint != "" {
		return err.WithHint("%s", p.Hint)
	}
	return err
}
