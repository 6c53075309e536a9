package cutover

import (
	"context"
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"thor"
	"thor/internal/store/sqlite"
)

// act is one thing that happens, to one of two features.
type act struct {
	Kind    string
	Feature string
	Stage   thor.Stage
}

func acts() *rapid.Generator[[]act] {
	kinds := []string{
		"promote", "promote", "promote", "promote", "rollback", "rollback", "freeze", "unfreeze",
		"force", "unforce", "fill the disk", "fail after the commit", "hang", "repair", "restart", "wait",
	}
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) act {
		return act{
			Kind:    rapid.SampledFrom(kinds).Draw(t, "kind"),
			Feature: rapid.SampledFrom([]string{"positions", "intraday"}).Draw(t, "feature"),
			Stage:   rapid.SampledFrom(thor.Stages()).Draw(t, "stage"),
		}
	}), 1, 25)
}

// TestWhateverHappens holds what must be true in every state. Faults are
// collected inside the bubble and reported outside.
func TestWhateverHappens(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		list := acts().Draw(r, "acts")
		var faults []string
		synctest.Test(t, func(t *testing.T) {
			p := &play{t: t, world: newWorld(t), allowed: map[string]thor.Stage{}, before: map[string]thor.Stage{}}
			p.start()
			for i, a := range list {
				p.do(a)
				p.check(fmt.Sprintf("after %d, %s %s %s", i, a.Kind, a.Feature, a.Stage))
			}
			p.repair()
			time.Sleep(time.Minute)
			p.check("at the end")
			if len(p.k.waiting) > 0 {
				p.fault("steps wait for a store that works: %q", p.k.Troubles())
			}
			p.stop()
			faults = p.faults
		})
		if len(faults) > 0 {
			r.Fatalf("%v", faults)
		}
	})
}

// play is a run of acts.
type play struct {
	t *testing.T
	*world
	k       *Controller
	stop    func()
	free    chan struct{} // ends the hanging
	before  map[string]thor.Stage
	allowed map[string]thor.Stage // as far as promotions were asked for
	faults  []string
}

func (p *play) fault(format string, args ...any) {
	p.faults = append(p.faults, fmt.Sprintf(format, args...))
}

func (p *play) start() {
	ctx, cancel := context.WithCancel(p.t.Context())
	k, _, err := Open(ctx, p.config())
	if err != nil {
		p.t.Fatal(err)
	}
	p.k = k
	done := make(chan struct{})
	go func() {
		defer close(done)
		k.Run(ctx) //nolint:errcheck // it has no error
	}()
	p.stop = func() {
		cancel()
		<-done
	}
}

func (p *play) repair() {
	if p.free != nil {
		close(p.free)
		p.free = nil
	}
	p.store.lose(nil, nil)
}

func (p *play) do(a act) {
	ctx := p.t.Context()
	switch a.Kind {
	case "promote":
		s, _ := p.k.State(a.Feature)
		p.allowed[a.Feature] = max(p.allowed[a.Feature], s.Stored.Stage+1)
		if _, err := p.k.Promote(ctx, Promotion{Feature: a.Feature, Rev: s.Stored.Rev, Any: true, Actor: "bob"}); err == nil && s.Effective.Frozen() {
			p.fault("a frozen feature was promoted")
		}
	case "rollback":
		o, err := p.k.Rollback(ctx, a.Feature, a.Stage, "ada", a.Kind)
		if err != nil {
			p.fault("rollback to %s: %v", a.Stage, err)
		}
		if s, _ := p.k.State(a.Feature); s.Effective.Stage > a.Stage {
			p.fault("rollback to %s: %s is in effect, %+v", a.Stage, s.Effective.Stage, o)
		}
		if o.Durable {
			// A promotion nobody knew the end of may come to light, as far as this.
			p.allowed[a.Feature] = min(p.allowed[a.Feature], a.Stage)
		}
	case "freeze", "unfreeze":
		do := p.k.Freeze
		if a.Kind == "unfreeze" {
			do = p.k.Unfreeze
		}
		if _, err := do(ctx, a.Feature, "ada", a.Kind); err != nil {
			p.fault("%s: %v", a.Kind, err)
		}
	case "force":
		p.force(p.t, a.Feature+":"+a.Stage.String())
		time.Sleep(time.Second)
		if s, _ := p.k.State(a.Feature); s.Effective.Stage > a.Stage {
			p.fault("forced to %s: %s is in effect", a.Stage, s.Effective.Stage)
		}
	case "unforce":
		_ = os.Remove(p.forceFile()) // if it is there
		time.Sleep(time.Second)
	case "fill the disk":
		p.repair()
		p.store.lose(refuse, errDisk)
	case "fail after the commit":
		p.repair()
		p.store.lose(keepAndFail, errDisk)
	case "hang":
		p.repair()
		p.free = make(chan struct{})
		p.store.lose(hang(p.free), nil)
	case "repair":
		p.repair()
	case "restart":
		p.repair()
		p.stop()
		if err := p.store.Close(); err != nil {
			p.t.Fatal(err)
		}
		s, err := sqlite.Open(ctx, p.dir)
		if err != nil {
			p.t.Fatal(err)
		}
		p.store.Store = s
		p.layer.take() // another process tells for itself
		p.start()
	case "wait":
		time.Sleep(15 * time.Second)
	}
	synctest.Wait()
}

func (p *play) check(when string) {
	for _, s := range p.k.States() {
		name := s.Stored.Feature
		if s.Effective.Stage > s.Stored.Stage || s.Effective.Rev != s.Stored.Rev {
			p.fault("%s: %s is stored and %s in effect", when, s.Stored.Stage, s.Effective.Stage)
		}
		if before, known := p.before[name]; known && s.Stored.Stage > max(before, p.allowed[name]) {
			p.fault("%s: %s went from %s to %s and nobody promoted it", when, name, before, s.Stored.Stage)
		}
		p.before[name] = s.Stored.Stage
	}
	a, err := p.store.Audit(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	if faults := a.Verify(); len(faults) > 0 { // that revisions rise by one is part of it
		p.fault("%s: the audit does not hold: %v", when, faults)
	}
	published := p.layer.all()
	for i, e := range published {
		if i > 0 && e.Version.Seq <= published[i-1].Version.Seq {
			p.fault("%s: the event %d was published behind %d", when, e.Version.Seq, published[i-1].Version.Seq)
		}
	}
}
