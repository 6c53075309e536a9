package app

import (
	"context"
	"log/slog"
	"time"

	"thor"
	"thor/internal/cutover"
	"thor/internal/hub"
	"thor/internal/store/sqlite"
)

// forceName is the file in the data directory that forces stages.
const forceName = "force"

// ForceVariable is the environment variable that forces stages.
const ForceVariable = cutover.ForceVariable

// openWait bounds how long the store is read when the streams of a feature come
// back: whoever changes a stage waits for it.
const openWait = 2 * time.Second

// changed opens or closes a feature's streams when what is in effect has
// changed, and tells the connections that are in canary. It reads the store only
// when streams come back.
func (a *App) changed(ctx context.Context, before, now thor.FeatureStage) error {
	publishes := now.Stage.Publishes()
	a.logs.SetPublishing(now.Feature, publishes)
	var err error
	if publishes && !before.Stage.Publishes() {
		if a.hub != nil { // at the start, before there is one, nobody waits
			wait, cancel := context.WithTimeout(ctx, openWait)
			defer cancel()
			ctx = wait
		}
		err = a.openLogs(ctx, now.Feature)
	}
	if a.hub != nil {
		a.hub.Reassign()
	}
	return err
}

// moved counts the steps that were stored. A freeze is none from stage to stage.
func (a *App) moved(t thor.Transition) {
	if t.Action == thor.ActionFreeze || t.Action == thor.ActionUnfreeze {
		return
	}
	actor := "person"
	if t.Actor == cutover.Itself {
		actor = t.Actor
	}
	a.metrics.Transitions.WithLabelValues(t.Feature, t.From.String(), t.To.String(), actor).Inc()
}

// announceForces tells the connections what is forced.
func (a *App) announceForces(notices []cutover.Notice) {
	if a.hub == nil { // it is made after the stages, and told then
		return
	}
	list := make([]hub.Notice, len(notices))
	for i, n := range notices {
		list[i] = hub.Notice{FeatureStage: n.FeatureStage, Forced: n.Forced}
	}
	a.hub.Announce(list...)
}

// announceStanding tells a new hub what is forced already.
func (a *App) announceStanding() {
	var notices []cutover.Notice
	for _, s := range a.stages.States() {
		if s.Forced != nil {
			notices = append(notices, cutover.Notice{FeatureStage: s.Effective, Forced: true})
		}
	}
	a.announceForces(notices)
}

// verifyAudit looks at the audit once, at the start. One that does not hold is
// told loudly and stops nothing: a rollback must work all the more.
func (a *App) verifyAudit(ctx context.Context) error {
	audit, err := a.store.Audit(ctx)
	if err != nil {
		return err
	}
	for _, fault := range audit.Verify() {
		a.logger.ErrorContext(ctx, "the audit does not hold", slog.Int64("entry", fault.ID), slog.String("fault", fault.Message))
		a.auditFaults = append(a.auditFaults, "the audit does not hold: "+fault.String())
	}
	a.logger.DebugContext(ctx, "audit", slog.Int64("entries", audit.Head.Count), slog.String("hash", audit.Head.Hash))
	return nil
}

// ReadAudit reads the audit of a data directory, whether a server uses it or
// not.
func ReadAudit(ctx context.Context, dir string) (thor.Audit, error) {
	return sqlite.ReadAudit(ctx, dir)
}
