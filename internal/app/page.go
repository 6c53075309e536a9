package app

import (
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"strings"

	"thor/internal/api"
	"thor/web"
)

// contentSecurity lets the page load and ask nothing but this server.
const contentSecurity = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'"

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
	mount := map[string]http.Handler{
		"GET /{$}":     a.withCookie(serve("private, no-cache")), // its cookie is one browser's
		"GET /assets/": onlyFiles(files, serve("public, max-age=31536000, immutable")),
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

// onlyFiles answers 404 for directories and for what does not exist: never with
// the index, which a browser would take for a script.
func onlyFiles(files fs.FS, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info, err := fs.Stat(files, strings.Trim(r.URL.Path, "/"))
		if err != nil || info.IsDir() {
			api.NotFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}
