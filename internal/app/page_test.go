package app

import (
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"thor/web"
)

func TestThePageIsServedFromTheBinary(t *testing.T) {
	t.Parallel()
	c := Default()
	c.Addr, c.Data, c.AuthKey = "localhost:0", t.TempDir(), strings.Repeat("k", 32)
	a, err := New(t.Context(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	get := func(path string) *httptest.ResponseRecorder {
		answer := httptest.NewRecorder()
		a.api.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
		return answer
	}
	assets, err := fs.Glob(web.Dist(), "assets/*.js")
	if err != nil || len(assets) == 0 {
		t.Fatalf("the built page has no scripts: %v", err)
	}
	// Whoever has no token may see the page, for it shows no data by itself.
	for path, want := range map[string]struct{ kind, cache string }{
		"/":             {"text/html", "private, no-cache"},
		"/favicon.svg":  {"image/svg+xml", "no-cache"},
		"/" + assets[0]: {"text/javascript", "public, max-age=31536000, immutable"},
	} {
		answer := get(path)
		h := answer.Header()
		if answer.Code != http.StatusOK || !strings.HasPrefix(h.Get("Content-Type"), want.kind) || h.Get("Cache-Control") != want.cache {
			t.Errorf("%s: %d %v", path, answer.Code, h)
		}
		policy := h.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: policy %q", path, policy)
		}
	}
	if body := get("/").Body.String(); !strings.Contains(body, assets[0]) && !strings.Contains(body, "assets/") {
		t.Errorf("the index does not refer to its scripts: %s", body)
	}
	for _, path := range []string{"/assets/", "/assets/missing.js", "/index.htm", "/cutover"} {
		if answer := get(path); answer.Code != http.StatusNotFound || answer.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %v", path, answer.Code, answer.Header())
		}
	}
}
