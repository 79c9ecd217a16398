package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func (h *here) member(group, topic string, options ...kgo.Opt) *kgo.Client {
	return h.open(append([]kgo.Opt{kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
		kgo.FetchMaxWait(100 * time.Millisecond), kgo.HeartbeatInterval(200 * time.Millisecond),
		kgo.SessionTimeout(10 * time.Second), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.Balancers(kgo.RangeBalancer())}, options...)...)
}

// balance polls the clients until it is so.
func (h *here) balance(what string, so func() bool, clients ...*kgo.Client) {
	within, cancel := context.WithTimeout(h.context, 30*time.Second)
	defer cancel()
	var all sync.WaitGroup
	for _, client := range clients {
		all.Go(func() {
			for within.Err() == nil {
				client.PollFetches(within)
				client.AllowRebalance()
			}
		})
	}
	for !so() {
		if h.context.Err() != nil || within.Err() != nil {
			must(fmt.Errorf("waited 30 s for %s", what))
		}
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	all.Wait()
}

func (h *here) described(group string) kadm.DescribedGroup {
	groups, err := h.admin.DescribeGroups(h.context, group)
	must(err)
	return groups[group]
}

// owned counts the partitions that each member of a stable group has.
func (h *here) owned(group string) []int {
	about := h.described(group)
	counts := []int{}
	if about.State != "Stable" {
		return counts
	}
	for _, member := range about.Members {
		if assigned, ok := member.Assigned.AsConsumer(); ok {
			count := 0
			for _, topic := range assigned.Topics {
				count += len(topic.Partitions)
			}
			counts = append(counts, count)
		}
	}
	slices.Sort(counts)
	return counts
}

func groups(h *here) {
	h.create("groups.a", 4, nil)
	producer := h.producer()
	for i := range 40 {
		must(producer.ProduceSync(h.context, record("groups.a", int32(i%4), i)).FirstErr())
	}
	first := h.member("groups", "groups.a")
	say("first life -> %d records", len(h.poll(first, 40)))
	say("commit -> %s", outcome(first.CommitUncommittedOffsets(h.context)))
	say("alone -> %v", h.owned("groups"))
	second := h.member("groups", "groups.a")
	is := func(want ...int) func() bool { return func() bool { return slices.Equal(h.owned("groups"), want) } }
	h.balance("two members", is(2, 2), first, second)
	say("two -> %v", h.owned("groups"))
	second.Close()
	h.balance("one member", is(4), first)
	say("after a leave -> %v", h.owned("groups"))
	first.Close()
	for i := range 8 {
		must(producer.ProduceSync(h.context, record("groups.a", int32(i%4), i)).FirstErr())
	}
	third := h.member("groups", "groups.a")
	say("second life -> %d records", len(h.poll(third, 8)))
	third.Close()
	silentDeath(h)
	staticMembers(h)
	offsetsOfGroups(h)
	producer.Close()
}

// silentDeath lets a member go without a word: it leaves the session to expire.
func silentDeath(h *here) {
	live := h.member("groups.death", "groups.a", kgo.SessionTimeout(6*time.Second))
	dead := h.member("groups.death", "groups.a", kgo.SessionTimeout(6*time.Second), kgo.InstanceID("dead"))
	is := func(want ...int) func() bool {
		return func() bool { return slices.Equal(h.owned("groups.death"), want) }
	}
	h.balance("two members", is(2, 2), live, dead)
	dead.Close() // static: it does not leave
	h.balance("the death", is(4), live)
	say("after a silent death -> %v", h.owned("groups.death"))
	live.Close()
}

func staticMembers(h *here) {
	first := h.member("groups.static", "groups.a", kgo.InstanceID("one"))
	h.balance("an assignment", func() bool { return slices.Equal(h.owned("groups.static"), []int{4}) }, first)
	_, generation := first.GroupMetadata()
	first.Close()
	about := h.described("groups.static")
	say("static closed -> %s, %d members", about.State, len(about.Members))
	second := h.member("groups.static", "groups.a", kgo.InstanceID("one"))
	h.balance("an assignment", func() bool { _, g := second.GroupMetadata(); return g > 0 }, second)
	_, again := second.GroupMetadata()
	say("static restarted -> same generation %v", again == generation)
	second.Close()
	left, err := h.admin.LeaveGroup(h.context, kadm.LeaveGroup("groups.static").InstanceIDs("one", "two"))
	must(err)
	for _, member := range left.Sorted() {
		say("made to leave %s -> %s", member.InstanceID, outcome(member.Err))
	}
}

func offsetsOfGroups(h *here) {
	var offsets kadm.Offsets
	offsets.AddOffset("groups.a", 1, 5, 3)
	set, err := h.admin.CommitOffsets(h.context, "groups.set", offsets)
	must(err)
	say("set -> %s", outcome(set.Error()))
	fetched, err := h.admin.FetchOffsets(h.context, "groups.set")
	must(err)
	fetched.Each(func(o kadm.OffsetResponse) {
		say("fetched -> %s-%d@%d epoch %d", o.Topic, o.Partition, o.At, o.LeaderEpoch)
	})
	many := h.admin.FetchManyOffsets(h.context, "groups.set", "groups.nobody")
	many.EachError(func(r kadm.FetchOffsetsResponse) { say("many -> %s", outcome(r.Err)) })
	say("many -> %d groups", len(many))
	lags, err := h.admin.Lag(h.context, "groups.set")
	must(err)
	say("lag -> %d", lags["groups.set"].Lag.Total())
	deleted, err := h.admin.DeleteOffsets(h.context, "groups.set", kadm.TopicsSet{"groups.a": {1: {}}})
	must(err)
	say("deleted offsets -> %s", outcome(deleted.Error()))
	gone, err := h.admin.DeleteGroups(h.context, "groups.set", "groups.nobody")
	must(err)
	for _, group := range gone.Sorted() {
		say("deleted %s -> %s", group.Group, outcome(group.Err))
	}
	listed, err := h.admin.ListGroups(h.context, "Empty")
	must(err)
	say("empty groups -> %v", listed.Groups())
}
