package main

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func findRequest(v int16, kind int8, keys ...string) *kmsg.FindCoordinatorRequest {
	request := kmsg.NewPtrFindCoordinatorRequest()
	request.Version, request.CoordinatorType = v, kind
	if v >= 4 {
		request.CoordinatorKeys = keys
	} else {
		request.CoordinatorKey = keys[0]
	}
	return request
}

func finding(since int16, kind int8, keys ...string) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		b.coordinated()
		if v < since {
			return skipped
		}
		return b.show(findRequest(v, kind, keys...))
	}
}

var findCoordinatorProbes = []probe{
	{"group", finding(0, 0, "a")},
	{"group-empty", finding(0, 0, "")},
	{"group-slash", finding(0, 0, "a/b")},
	{"several", finding(4, 0, "a", "b", "")},
	{"none", finding(4, 0)},
	{"kind-7", finding(1, 7, "a")},
	{"share-malformed", finding(1, 2, "a")},
}

// joining shows the last join of a probe.
func joining(prepare func(b *broker) *member) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		b.coordinated()
		m := prepare(b)
		if m == nil || (m.instance != "" && v < 5) {
			return skipped
		}
		return b.show(m.join(v, b.topic))
	}
}

func newMember(m member) func(*broker, int16) string {
	return joining(func(*broker) *member { return &m })
}

func in(group func(b *broker) string, m member) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		b.coordinated()
		return b.show(m.join(v, group(b)))
	}
}

var joinGroupProbes = []probe{
	{"first", newMember(member{})},
	{"with-id", joining(func(b *broker) *member {
		m := member{}
		m.id = b.mustAsk(m.join(joinVersion, b.topic)).(*kmsg.JoinGroupResponse).MemberID
		return &m
	})},
	{"id-made-up", newMember(member{id: "nobody"})},
	{"id-of-another-group", joining(func(b *broker) *member {
		m := b.alone(b.topic+".other", member{})
		return &m
	})},
	{"id-unknown-in-stable", joining(func(b *broker) *member {
		b.alone(b.topic, member{})
		return &member{id: "nobody"}
	})},
	{"session-short", newMember(member{session: 5_999})},
	{"session-shortest", newMember(member{session: 6_000})},
	{"session-long", newMember(member{session: 1_800_001})},
	{"session-zero", newMember(member{session: -1})},
	{"group-empty", in(func(*broker) string { return "" }, member{})},
	{"group-slash", in(func(b *broker) string { return b.topic + "/a" }, member{})},
	{"group-long", func(b *broker, v int16) string {
		b.coordinated()
		name := b.topic + strings.Repeat("x", 32_000)
		return strings.ReplaceAll(b.show(member{}.join(v, name)), name, "LONG")
	}},
	{"kind-none", func(b *broker, v int16) string {
		b.coordinated()
		request := member{}.join(v, b.topic)
		request.ProtocolType = ""
		return b.show(request)
	}},
	{"kind-connect", newMember(member{kind: "connect", protocols: []string{"compatible", "sessioned"}})},
	{"protocols-none", newMember(member{protocols: []string{}})},
	{"kind-differs", joining(func(b *broker) *member {
		b.alone(b.topic, member{})
		return &member{kind: "connect"}
	})},
	{"protocols-differ", joining(func(b *broker) *member {
		b.alone(b.topic, member{})
		return &member{protocols: []string{"sticky"}}
	})},
	{"leader-again", joining(func(b *broker) *member {
		m := b.alone(b.topic, member{})
		return &m
	})},
	{"follower-again", func(b *broker, v int16) string {
		_, second, other := b.pair(b.topic, member{})
		defer other.hangUp()
		return other.show(second.join(v, b.topic))
	}},
	{"before-sync-again", joining(func(b *broker) *member {
		m := member{}
		b.joins(&m, b.topic)
		return &m
	})},
	{"before-sync-changed", joining(func(b *broker) *member {
		m := member{}
		b.joins(&m, b.topic)
		m.protocols = []string{"range", "sticky"}
		return &m
	})},
	{"static", newMember(member{instance: "i"})},
	{"static-leader-returns", joining(func(b *broker) *member {
		b.alone(b.topic, member{instance: "i"})
		return &member{instance: "i"}
	})},
	{"static-follower-returns", func(b *broker, v int16) string {
		if v < 5 {
			return skipped
		}
		_, _, other := b.pair(b.topic, member{instance: "i"})
		defer other.hangUp()
		return other.show(member{instance: "i"}.join(v, b.topic))
	}},
	{"static-fenced", func(b *broker, v int16) string {
		if v < 5 {
			return skipped
		}
		old := b.alone(b.topic, member{instance: "i"})
		b.alone(b.topic, member{instance: "i"})
		return b.show(old.join(v, b.topic))
	}},
	{"static-unknown-instance", func(b *broker, v int16) string {
		if v < 5 {
			return skipped
		}
		m := b.alone(b.topic, member{instance: "i"})
		m.instance = "j"
		return b.show(m.join(v, b.topic))
	}},
	{"protocol-by-votes", func(b *broker, v int16) string {
		if v < 1 {
			return skipped
		}
		b.coordinated()
		first, second, other := b.pair(b.topic, member{protocols: []string{"a", "b"}})
		defer other.hangUp()
		first.protocols, second.protocols = []string{"b", "a"}, []string{"b", "a"}
		other.send(second.join(v, b.topic))
		until("the join", func() bool { return groupState(b, b.topic) == "PreparingRebalance" })
		return b.show(first.join(v, b.topic))
	}},
}

func groupState(b *broker, group string) string {
	request := kmsg.NewPtrDescribeGroupsRequest()
	request.Version, request.Groups = 0, []string{group}
	return b.mustAsk(request).(*kmsg.DescribeGroupsResponse).Groups[0].State
}

var syncGroupProbes = []probe{
	{"leader", func(b *broker, v int16) string {
		b.coordinated()
		m := member{}
		generation := b.joins(&m, b.topic)
		return b.show(m.sync(v, b.topic, generation, m.id, "stranger"))
	}},
	{"leader-assigns-nothing", func(b *broker, v int16) string {
		b.coordinated()
		m := member{}
		generation := b.joins(&m, b.topic)
		return b.show(m.sync(v, b.topic, generation))
	}},
	{"again", func(b *broker, v int16) string {
		m := b.alone(b.topic, member{})
		return b.show(m.sync(v, b.topic, 1))
	}},
	{"follower", func(b *broker, v int16) string {
		_, second, other := b.pair(b.topic, member{})
		defer other.hangUp()
		return other.show(second.sync(v, b.topic, 2))
	}},
	{"generation-old", func(b *broker, v int16) string {
		return b.show(b.alone(b.topic, member{}).sync(v, b.topic, 0))
	}},
	{"generation-future", func(b *broker, v int16) string {
		return b.show(b.alone(b.topic, member{}).sync(v, b.topic, 7))
	}},
	{"member-unknown", func(b *broker, v int16) string {
		b.alone(b.topic, member{})
		return b.show(member{id: "nobody"}.sync(v, b.topic, 1))
	}},
	{"group-unknown", func(b *broker, v int16) string {
		b.coordinated()
		return b.show(member{id: "nobody"}.sync(v, b.topic, 1))
	}},
	{"group-empty", func(b *broker, v int16) string {
		b.coordinated()
		return b.show(member{id: "nobody"}.sync(v, "", 1))
	}},
	{"protocol-wrong", func(b *broker, v int16) string {
		if v < 5 {
			return skipped
		}
		request := b.alone(b.topic, member{}).sync(v, b.topic, 1)
		request.Protocol = pointer("sticky")
		return b.show(request)
	}},
	{"kind-wrong", func(b *broker, v int16) string {
		if v < 5 {
			return skipped
		}
		request := b.alone(b.topic, member{}).sync(v, b.topic, 1)
		request.ProtocolType = pointer("connect")
		return b.show(request)
	}},
	{"preparing", preparing(func(m member, v int16, group string) kmsg.Request { return m.sync(v, group, 1) })},
	{"fenced", fenced(3, func(m member, v int16, group string) kmsg.Request { return m.sync(v, group, 1) })},
}

// preparing asks as the first member while a second one waits for the rebalance.
func preparing(ask func(member, int16, string) kmsg.Request) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		m := b.alone(b.topic, member{})
		other := b.another()
		defer other.hangUp()
		other.asks(&member{}, b.topic)
		return b.show(ask(m, v, b.topic))
	}
}

// fenced asks as a static member whose place was taken.
func fenced(since int16, ask func(member, int16, string) kmsg.Request) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		if v < since {
			return skipped
		}
		old := b.alone(b.topic, member{instance: "i"})
		b.alone(b.topic, member{instance: "i"})
		return b.show(ask(old, v, b.topic))
	}
}

func beat(generation int32) func(member, int16, string) kmsg.Request {
	return func(m member, v int16, group string) kmsg.Request { return m.heartbeat(v, group, generation) }
}

var heartbeatProbes = []probe{
	{"good", func(b *broker, v int16) string {
		return b.show(b.alone(b.topic, member{}).heartbeat(v, b.topic, 1))
	}},
	{"before-sync", func(b *broker, v int16) string {
		b.coordinated()
		m := member{}
		generation := b.joins(&m, b.topic)
		return b.show(m.heartbeat(v, b.topic, generation))
	}},
	{"generation-old", func(b *broker, v int16) string {
		return b.show(b.alone(b.topic, member{}).heartbeat(v, b.topic, 0))
	}},
	{"generation-none", func(b *broker, v int16) string {
		return b.show(b.alone(b.topic, member{}).heartbeat(v, b.topic, -1))
	}},
	{"member-unknown", func(b *broker, v int16) string {
		b.alone(b.topic, member{})
		return b.show(member{id: "nobody"}.heartbeat(v, b.topic, 1))
	}},
	{"group-unknown", func(b *broker, v int16) string {
		b.coordinated()
		return b.show(member{id: "nobody"}.heartbeat(v, b.topic, 1))
	}},
	{"group-empty", func(b *broker, v int16) string {
		b.coordinated()
		return b.show(member{id: "nobody"}.heartbeat(v, "", 1))
	}},
	{"preparing", preparing(beat(1))},
	{"fenced", fenced(3, beat(1))},
}

func leaveRequest(v int16, group string, members ...member) *kmsg.LeaveGroupRequest {
	request := kmsg.NewPtrLeaveGroupRequest()
	request.Version, request.Group = v, group
	if v < 3 {
		if len(members) > 0 {
			request.MemberID = members[0].id
		}
		return request
	}
	for _, m := range members {
		row := kmsg.NewLeaveGroupRequestMember()
		row.MemberID = m.id
		if m.instance != "" {
			row.InstanceID = pointer(m.instance)
		}
		request.Members = append(request.Members, row)
	}
	return request
}

var leaveGroupProbes = []probe{
	{"good", func(b *broker, v int16) string {
		return b.show(leaveRequest(v, b.topic, b.alone(b.topic, member{}))) + " then " + groupState(b, b.topic)
	}},
	{"twice", func(b *broker, v int16) string {
		m := b.alone(b.topic, member{})
		b.mustAsk(leaveRequest(v, b.topic, m))
		return b.show(leaveRequest(v, b.topic, m))
	}},
	{"pending", func(b *broker, v int16) string {
		b.coordinated()
		m := member{}
		m.id = b.mustAsk(m.join(joinVersion, b.topic)).(*kmsg.JoinGroupResponse).MemberID
		return b.show(leaveRequest(v, b.topic, m))
	}},
	{"member-unknown", func(b *broker, v int16) string {
		b.alone(b.topic, member{})
		return b.show(leaveRequest(v, b.topic, member{id: "nobody"}))
	}},
	{"group-unknown", func(b *broker, v int16) string {
		b.coordinated()
		return b.show(leaveRequest(v, b.topic, member{id: "nobody"}))
	}},
	{"group-empty", func(b *broker, v int16) string {
		b.coordinated()
		return b.show(leaveRequest(v, "", member{id: "nobody"}))
	}},
	{"nobody", func(b *broker, v int16) string {
		if v < 3 {
			return skipped
		}
		b.alone(b.topic, member{})
		return b.show(leaveRequest(v, b.topic))
	}},
	{"several", func(b *broker, v int16) string {
		if v < 3 {
			return skipped
		}
		first, second, other := b.pair(b.topic, member{instance: "i"})
		defer other.hangUp()
		return b.show(leaveRequest(v, b.topic, first, member{id: "nobody"}, member{instance: "i"}, member{instance: "j"},
			member{}, member{id: second.id, instance: "i"})) + " then " + groupState(b, b.topic)
	}},
	{"instance-of-another", func(b *broker, v int16) string {
		if v < 3 {
			return skipped
		}
		first, _, other := b.pair(b.topic, member{instance: "i"})
		defer other.hangUp()
		return b.show(leaveRequest(v, b.topic, member{id: first.id, instance: "i"}, member{id: first.id, instance: "j"}))
	}},
}

func listGroupsRequest(v int16, states, types []string) *kmsg.ListGroupsRequest {
	request := kmsg.NewPtrListGroupsRequest()
	request.Version = v
	if v >= 4 {
		request.StatesFilter = states
	}
	if v >= 5 {
		request.TypesFilter = types
	}
	return request
}

func listingGroups(since int16, states, types []string) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		if v < since {
			return skipped
		}
		b.alone(b.topic+".stable", member{})
		m := b.alone(b.topic+".empty", member{})
		b.mustAsk(leaveRequest(3, b.topic+".empty", m))
		b.shared("groups.shared", 2)
		b.mustAsk(commitRequest(b, 5, b.topic+".simple", "groups.shared", 0, 3))
		return b.show(listGroupsRequest(v, states, types))
	}
}

var listGroupsProbes = []probe{
	{"all", listingGroups(0, nil, nil)},
	{"stable", listingGroups(4, []string{"Stable"}, nil)},
	{"case", listingGroups(4, []string{"sTABLE", "empty"}, nil)},
	{"state-unknown", listingGroups(4, []string{"Sleeping"}, nil)},
	{"classic", listingGroups(5, nil, []string{"Classic"})},
	{"consumer", listingGroups(5, nil, []string{"consumer"})},
	{"type-unknown", listingGroups(5, nil, []string{"odd"})},
}

func describing(operations bool, prepare func(b *broker) []string) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		b.coordinated()
		request := kmsg.NewPtrDescribeGroupsRequest()
		request.Version, request.Groups = v, prepare(b)
		request.IncludeAuthorizedOperations = operations && v >= 3
		return b.show(request)
	}
}

var describeGroupsProbes = []probe{
	{"stable", describing(false, func(b *broker) []string {
		b.alone(b.topic, member{instance: "i"})
		return []string{b.topic}
	})},
	{"operations", describing(true, func(b *broker) []string {
		b.alone(b.topic, member{})
		return []string{b.topic, b.topic + ".absent"}
	})},
	{"before-sync", describing(false, func(b *broker) []string {
		b.joins(&member{}, b.topic)
		return []string{b.topic}
	})},
	{"empty", describing(false, func(b *broker) []string {
		b.mustAsk(leaveRequest(3, b.topic, b.alone(b.topic, member{})))
		return []string{b.topic}
	})},
	{"pending", describing(false, func(b *broker) []string {
		b.mustAsk(member{}.join(joinVersion, b.topic))
		return []string{b.topic}
	})},
	{"simple", describing(false, func(b *broker) []string {
		b.shared("groups.shared", 2)
		b.mustAsk(commitRequest(b, 5, b.topic, "groups.shared", 0, 3))
		return []string{b.topic}
	})},
	{"connect", describing(false, func(b *broker) []string {
		b.alone(b.topic, member{kind: "connect"})
		return []string{b.topic}
	})},
	{"absent", describing(false, func(b *broker) []string { return []string{b.topic} })},
	{"group-empty", describing(false, func(b *broker) []string { return []string{""} })},
	{"nothing", describing(false, func(b *broker) []string { return nil })},
}

func deletingGroups(prepare func(b *broker) []string) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		b.coordinated()
		request := kmsg.NewPtrDeleteGroupsRequest()
		request.Version, request.Groups = v, prepare(b)
		return b.show(request)
	}
}

var deleteGroupsProbes = []probe{
	{"empty", deletingGroups(func(b *broker) []string {
		b.mustAsk(leaveRequest(3, b.topic, b.alone(b.topic, member{})))
		return []string{b.topic}
	})},
	{"simple", func(b *broker, v int16) string {
		b.coordinated()
		b.shared("groups.shared", 2)
		b.mustAsk(commitRequest(b, 5, b.topic, "groups.shared", 0, 3))
		shown := deletingGroups(func(b *broker) []string { return []string{b.topic} })(b, v)
		return shown + " then " + b.show(fetchOffsetsRequest(b, 5, b.topic, "groups.shared", 0)) + groupState(b, b.topic)
	}},
	{"stable", deletingGroups(func(b *broker) []string {
		b.alone(b.topic, member{})
		return []string{b.topic}
	})},
	{"absent", deletingGroups(func(b *broker) []string { return []string{b.topic} })},
	{"several", deletingGroups(func(b *broker) []string {
		b.alone(b.topic, member{})
		b.mustAsk(leaveRequest(3, b.topic+".left", b.alone(b.topic+".left", member{})))
		return []string{b.topic, b.topic + ".left", b.topic + ".absent"}
	})},
	{"nothing", deletingGroups(func(b *broker) []string { return nil })},
}
