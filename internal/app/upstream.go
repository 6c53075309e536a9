package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"thor"
	"thor/internal/source"
	"thor/internal/source/upstream"
)

// The sources there are.
const (
	simName      = "sim"
	upstreamName = "upstream"
	replayName   = "replay"
	noneName     = "none"
)

// faultsOfUpstream reports what is wrong with the settings of the backend that
// is read.
func (c Config) faultsOfUpstream(fault func(flag, format string, args ...any)) {
	if c.Upstream == "" {
		return
	}
	if _, err := upstream.ParseURL(c.Upstream); err != nil {
		fault("upstream", "%w", err)
	}
	if _, err := c.mapping(); err != nil {
		flag := "preset"
		if c.UpstreamConfig != "" {
			flag = "upstream-config"
		}
		for _, err := range each(err) {
			fault(flag, "%w", err)
		}
	}
	if c.simVirtual() {
		fault("upstream", "--sim-start and --sim-speed belong to the simulator; a backend has the real time")
	}
	if (c.UpstreamUser == "") != (c.UpstreamPassword == "") {
		fault("upstream-user", "a user and a password go together: THOR_UPSTREAM_USER and THOR_UPSTREAM_PASSWORD")
	}
	if c.UpstreamUser != "" && c.UpstreamToken != "" {
		fault("upstream-token", "either a token, or a user and a password")
	}
}

// each takes apart what errors.Join has put together.
func each(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

// mapping reads how the backend is to be read.
func (c Config) mapping() (*upstream.Mapping, error) {
	if c.UpstreamConfig == "" {
		text, err := upstream.Preset(c.Preset)
		if err != nil {
			return nil, err
		}
		return upstream.Parse("preset "+c.Preset, text)
	}
	text, err := os.ReadFile(c.UpstreamConfig)
	if errors.Is(err, os.ErrNotExist) {
		return nil, thor.Errorf(thor.EINVALID, "there is no file %s", c.UpstreamConfig).
			WithHint("Begin with: thor upstream preset thor > %s", c.UpstreamConfig)
	}
	if err != nil {
		return nil, thor.Errorf(thor.EINVALID, "it cannot be read: %w", err)
	}
	return upstream.Parse(c.UpstreamConfig, text)
}

// openUpstream makes the source that reads the backend.
func openUpstream(c Config) (*upstream.Source, error) {
	mapping, err := c.mapping()
	if err != nil {
		return nil, err
	}
	return upstream.New(upstream.Config{
		URL: c.Upstream, Mapping: mapping, User: c.UpstreamUser, Password: c.UpstreamPassword, Token: c.UpstreamToken,
		Env: os.LookupEnv, SourceClock: source.WallClock{}, Agent: "thor/" + Version,
	})
}

// greeting is how long a start waits for a backend that does not answer.
const greeting = 2 * time.Second

// greet asks the backend who we are, so that the first lines of a server say
// whether it can be reached, and whether its data is made up. It goes on without
// an answer: the jobs try again.
func greet(ctx context.Context, s *upstream.Source, url string) string {
	ctx, cancel := context.WithTimeout(ctx, greeting)
	defer cancel()
	switch who, err := s.Who(ctx); {
	case err != nil:
		return "the backend does not answer yet: " + err.Error()
	case who != "":
		return fmt.Sprintf("reading %s, signed in as %s", url, who)
	}
	return "reading " + url
}

// UpstreamPreset is the text of a mapping that comes with thor.
func UpstreamPreset(name string) ([]byte, error) { return upstream.Preset(name) }
