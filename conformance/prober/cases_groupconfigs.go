package main

import "github.com/twmb/franz-go/pkg/kmsg"

const (
	ofGroups    = kmsg.ConfigResourceType(32)
	sessionKey  = "consumer.session.timeout.ms"
	intervalKey = "consumer.heartbeat.interval.ms"
)

// groupConfigs are the keys of groups that both brokers act by.
var groupConfigs = map[string]bool{sessionKey: true, intervalKey: true}

// alteringGroup changes configs of a group that has an interval of its own, shows them, and takes them back.
func alteringGroup(changes ...change) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		b.mustAsk(altering(v, ofGroups, b.topic, changed(intervalKey, set, "9000")))
		text := b.showAltered(altering(v, ofGroups, b.topic, changes...), ofGroups, b.topic, sessionKey, intervalKey)
		b.forgetGroup()
		return text
	}
}

func (b *broker) forgetGroup() {
	b.mustAsk(altering(1, ofGroups, b.topic, changed(sessionKey, unset, ""), changed(intervalKey, unset, "")))
	pause()
}

func replacingGroup(configs ...kmsg.AlterConfigsRequestResourceConfig) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		b.mustAsk(altering(1, ofGroups, b.topic, changed(intervalKey, set, "9000")))
		text := b.showAltered(replacing(v, ofGroups, b.topic, configs...), ofGroups, b.topic, sessionKey, intervalKey)
		b.forgetGroup()
		return text
	}
}

var alterGroupConfigsProbes = []probe{
	{"group-set", alteringGroup(changed(sessionKey, set, "50000"))},
	{"group-set-both", alteringGroup(changed(sessionKey, set, "50000"), changed(intervalKey, set, "15000"))},
	{"group-unset", alteringGroup(changed(intervalKey, unset, ""))},
	{"group-unset-unset", alteringGroup(changed(sessionKey, unset, ""))},
	{"group-session-short", alteringGroup(changed(sessionKey, set, "44999"))},
	{"group-session-long", alteringGroup(changed(sessionKey, set, "60001"))},
	{"group-interval-short", alteringGroup(changed(intervalKey, set, "99"))},
	{"group-interval-long", alteringGroup(changed(intervalKey, set, "15001"))},
	{"group-not-a-number", alteringGroup(changed(sessionKey, set, "soon"))},
	{"group-negative", alteringGroup(changed(sessionKey, set, "-1"))},
	{"group-unknown-key", alteringGroup(changed("no.such.key", set, "1"))},
	{"group-topic-key", alteringGroup(changed("retention.ms", set, "1"))},
	{"group-append", alteringGroup(changed(sessionKey, add, "50000"))},
	{"group-good-and-bad", alteringGroup(changed(intervalKey, set, "6000"), changed(sessionKey, set, "1"))},
	{"group-nameless", alteringNamed(ofGroups, literally(""), changed(sessionKey, set, "50000"))},
	{"group-listed", func(b *broker, v int16) string {
		b.mustAsk(altering(v, ofGroups, b.topic+"/a", changed(sessionKey, set, "50000")))
		pause()
		text := listingResources(32)(b, 1)
		b.mustAsk(altering(v, ofGroups, b.topic+"/a", changed(sessionKey, unset, "")))
		pause()
		return text + " then " + listingResources(32)(b, 1)
	}},
}

var replaceGroupConfigsProbes = []probe{
	{"group", replacingGroup(replacement(sessionKey, "50000"))},
	{"group-nothing", replacingGroup()},
	{"group-bad", replacingGroup(replacement(sessionKey, "1"))},
}

var describeGroupConfigsProbes = []probe{
	{"group-absent", configsOf(ofGroups, literally("probe.absent"), sessionKey, intervalKey)},
	{"group-all", configsOf(ofGroups, literally("a/b"))},
	{"group-unknown-key", configsOf(ofGroups, literally("g"), "no.such.key")},
	{"group-nameless", configsOf(ofGroups, literally(""))},
	{"group-synonyms", func(b *broker, v int16) string {
		request := configsRequest(v, ofGroups, "g", []string{sessionKey, intervalKey})
		request.IncludeSynonyms = true
		return b.show(request)
	}},
}
