package app

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"thor/internal/api"
	"thor/internal/auth"
	"thor/internal/frontdoor"
	"thor/internal/source/upstream"
)

// openFrontDoor puts the server before the backend it reads, if it reads one.
func (a *App) openFrontDoor() error {
	for _, o := range frontdoor.Outcomes() { // a count that is there before it is needed
		a.metrics.FrontDoor.WithLabelValues(string(o))
	}
	if a.config.Upstream == "" {
		return nil
	}
	backend, err := upstream.ParseURL(a.config.Upstream)
	if err != nil {
		return err
	}
	mapping, err := a.config.mapping()
	if err != nil {
		return err
	}
	a.front = frontdoor.New(frontdoor.Config{
		Backend: backend, Paths: frontDoorPaths(backend.Path, mapping),
		Stage: func(r *http.Request, feature string, header http.Header) error {
			return a.api.Stamp(feature, a.clientOf(r), header)
		},
		Served: a.servedAtFrontDoor,
		Refuse: a.door.RefusePassing, Trusted: a.door.Proxied, Cookie: auth.CookieName,
		Problem: api.WriteProblem,
		Ended:   func(o frontdoor.Outcome) { a.metrics.FrontDoor.WithLabelValues(string(o)).Inc() },
		Logger:  a.logger,
	})
	return nil
}

// frontDoorPaths are the paths of the backend that belong to a feature, as a
// browser asks for them: behind the path of the backend's address.
func frontDoorPaths(base string, m *upstream.Mapping) []frontdoor.Path {
	var paths []frontdoor.Path
	for _, p := range m.FeaturePaths() {
		paths = append(paths, frontdoor.Path{Feature: p.Feature, Template: base + p.Path})
	}
	return paths
}

// clientOf is who asks at the front door, for canary: as at REST of this server.
func (a *App) clientOf(r *http.Request) string {
	p, _ := a.door.Passing(r)
	return cmp.Or(r.Header.Get("Thor-Client"), a.door.Browser(r), p.Identity())
}

// frontDoorConsumer is what metrics call those who ask the backend.
const frontDoorConsumer = "frontdoor"

// servedAtFrontDoor counts a request for a path of the backend that belongs to a
// feature.
func (a *App) servedAtFrontDoor(r *http.Request, feature string) {
	p, _ := a.door.Passing(r)
	a.consumers.Count(api.Consumer{
		Feature: feature, Via: api.ViaFrontDoor, UserAgent: r.UserAgent(), Principal: p.Subject, Thor: r.Header.Get("Thor-Client") != "",
	})
	a.served(feature, frontDoorConsumer)
}

// frontDoorNotes say what is behind the server, and what of it cannot be
// reached, for this server has something at the same path.
func (a *App) frontDoorNotes() []string {
	if a.front == nil {
		return nil
	}
	note := fmt.Sprintf("front door: what is not served here goes to %s://%s", a.front.Backend.Scheme, a.front.Backend.Host)
	if a.config.Page == "/" {
		note += "; if it has a page at /, --page /thor/ makes room for it"
	}
	notes := []string{note}
	var hidden []string
	for _, p := range a.front.Paths {
		path, _, _ := strings.Cut(p.Template, "?")
		asked := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: path}, Header: http.Header{}}
		if a.api.Serves(asked) && !slices.Contains(hidden, path) {
			hidden = append(hidden, path)
			notes = append(notes, fmt.Sprintf("the backend's %s is a path of this server too, which answers there in its own way: clients of the backend must ask the backend for it", path))
		}
	}
	return notes
}
