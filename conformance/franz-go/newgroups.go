package main

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// young is a member by the new protocol (KIP-848).
func (h *here) young(group string, options ...kgo.Opt) *kgo.Client {
	return h.open(append([]kgo.Opt{kgo.ConsumerGroup(group), kgo.ConsumeTopics("newgroups.a"), kgo.DisableAutoCommit(),
		kgo.FetchMaxWait(100 * time.Millisecond), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.Balancers(kgo.RangeBalancer()), kgo.ServerSideBalancer()}, options...)...)
}

// taken counts the partitions that each member of a stable group of the new protocol has.
func (h *here) taken(group string) []int {
	groups, err := h.admin.DescribeConsumerGroups(h.context, group)
	must(err)
	about := groups[group]
	counts := []int{}
	if about.State != "Stable" {
		return counts
	}
	for _, member := range about.Members {
		count := 0
		for _, partitions := range member.Assignment {
			count += len(partitions)
		}
		counts = append(counts, count)
	}
	slices.Sort(counts)
	return counts
}

func newGroups(h *here) {
	h.create("newgroups.a", 4, nil)
	producer := h.producer()
	for i := range 40 {
		must(producer.ProduceSync(h.context, record("newgroups.a", int32(i%4), i)).FirstErr())
	}
	is := func(want ...int) func() bool {
		return func() bool { return slices.Equal(h.taken("newgroups"), want) }
	}
	first := h.young("newgroups")
	say("first life -> %d records", len(h.poll(first, 40)))
	say("commit -> %s", outcome(first.CommitUncommittedOffsets(h.context)))
	say("alone -> %v", h.taken("newgroups"))
	second := h.young("newgroups")
	h.balance("two members", is(2, 2), first, second)
	say("two -> %v", h.taken("newgroups"))
	second.Close()
	h.balance("one member", is(4), first)
	say("after a leave -> %v", h.taken("newgroups"))
	first.Close()
	for i := range 8 {
		must(producer.ProduceSync(h.context, record("newgroups.a", int32(i%4), i)).FirstErr())
	}
	third := h.young("newgroups")
	say("second life -> %d records", len(h.poll(third, 8)))
	third.Close()
	fourth := h.young("newgroups.static", kgo.InstanceID("one"))
	h.balance("an assignment", func() bool { return slices.Equal(h.taken("newgroups.static"), []int{4}) }, fourth)
	fourth.Close()
	fifth := h.young("newgroups.static", kgo.InstanceID("one"))
	h.balance("an assignment", func() bool { return slices.Equal(h.taken("newgroups.static"), []int{4}) }, fifth)
	say("static restarted -> %v", h.taken("newgroups.static"))
	fifth.Close()
	producer.Close()
}
