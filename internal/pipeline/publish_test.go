package pipeline_test

import (
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"thor"
)

func TestPublishTellsTheVersions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, t.TempDir())
		publish := func(msgs ...thor.Message) (seqs []uint64) {
			t.Helper()
			versions, err := b.Publish(t.Context(), msgs...)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range versions {
				seqs = append(seqs, v.Seq)
			}
			return seqs
		}
		if diff := cmp.Diff([]uint64{1, 1, 2}, publish(bar(0, "1", true), balance("A", "5"), bar(1, "1", false))); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if diff := cmp.Diff([]uint64{1, 3, 1}, publish(balance("A", "5"), bar(1, "2", true), bar(0, "1", true))); diff != "" {
			t.Errorf("of what was said before: -want +got:\n%s", diff)
		}
		bad := balance("A", "6")
		bad.Key = "B"
		if _, err := b.Publish(t.Context(), bar(2, "1", true), bad); thor.ErrorCode(err) != thor.EINVALID {
			t.Errorf("got %v", err)
		}
		b.layer.want(t, "intraday:FUT.ES/1", "account_balance:A/1", "intraday:FUT.ES/2", "intraday:FUT.ES/3")
		if versions, err := b.Publish(t.Context()); len(versions) != 0 || err != nil {
			t.Errorf("of nothing: %v, %v", versions, err)
		}
	})
}
