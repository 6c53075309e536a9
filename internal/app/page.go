package app

import (
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"

	"thor/internal/api"
	"thor/web"
)

// contentSecurity lets the page load and ask nothing but this server.
const contentSecurity = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'"

// validPage reports whether the page may be at a path. Its files are in /assets/
// in any case, under names that no other page has.
func validPage(path string) bool {
	if path == "/" {
		return true
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return pagePath.MatchString(path) && !slices.Contains([]string{"api", "assets", "healthz", "metrics", "readyz", "ws"}, first)
}

var pagePath = regexp.MustCompile(`^(/[A-Za-z0-9_~-]+)+/$`)

// page serves the dashboard: its index is never cached, what it refers to by
// content hash is cached for ever.
func (a *App) page() map[string]http.Handler {
	files := web.Dist()
	if a.config.UIDir != "" {
		files = os.DirFS(a.config.UIDir)
	}
	static := http.FileServerFS(files)
	serve := func(cache string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("Cache-Control", cache)
			h.Set("Content-Security-Policy", contentSecurity)
			h.Set("X-Content-Type-Options", "nosniff")
			h.Set("Referrer-Policy", "no-referrer")
			static.ServeHTTP(w, r)
		})
	}
	index := http.StripPrefix(strings.TrimSuffix(a.config.Page, "/"), a.withCookie(serve("private, no-cache"))) // its cookie is one browser's
	mount := map[string]http.Handler{
		"GET " + a.config.Page + "{$}": index,
		"GET /assets/":                 onlyFiles(files, serve("public, max-age=31536000, immutable"), a.nothing),
	}
	if a.config.Page != "/" {
		return mount // the rest is for the page of the backend to have
	}
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		a.logger.Error("the page cannot be read", slog.Any("error", err))
		return mount
	}
	for _, e := range entries {
		if !e.IsDir() && e.Name() != "index.html" {
			mount["GET /"+e.Name()] = serve("no-cache")
		}
	}
	return mount
}

// onlyFiles serves files, and leaves directories and what does not exist to
// others: never the index, which a browser would take for a script.
func onlyFiles(files fs.FS, next http.Handler, others http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info, err := fs.Stat(files, strings.Trim(r.URL.Path, "/"))
		if err != nil || info.IsDir() {
			others(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// nothing answers where the page has no file: a page of the backend may.
func (a *App) nothing(w http.ResponseWriter, r *http.Request) {
	if a.front != nil {
		a.front.ServeHTTP(w, r)
		return
	}
	api.NotFound(w, r)
}
