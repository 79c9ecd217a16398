package main

import (
	"fmt"
	"sort"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	set      = kmsg.IncrementalAlterConfigOpSet
	unset    = kmsg.IncrementalAlterConfigOpDelete
	add      = kmsg.IncrementalAlterConfigOpAppend
	subtract = kmsg.IncrementalAlterConfigOpSubtract
)

const throttled = "leader.replication.throttled.replicas"

// A change is one config of an IncrementalAlterConfigs request.
type change = kmsg.IncrementalAlterConfigsRequestResourceConfig

func changed(name string, op kmsg.IncrementalAlterConfigOp, value string) change {
	return change{Name: name, Op: op, Value: pointer(value)}
}

func altering(v int16, kind kmsg.ConfigResourceType, name string, changes ...change) *kmsg.IncrementalAlterConfigsRequest {
	request := kmsg.NewPtrIncrementalAlterConfigsRequest()
	request.Version = v
	resource := kmsg.NewIncrementalAlterConfigsRequestResource()
	resource.ResourceType, resource.ResourceName, resource.Configs = kind, name, changes
	request.Resources = append(request.Resources, resource)
	return request
}

// showAltered shows a request that changes configs, and what they are then.
func (b *broker) showAltered(request kmsg.Request, kind kmsg.ConfigResourceType, name string, keys ...string) string {
	text := b.ownName(b.show(request))
	return text + " then " + b.configValues(kind, name, keys...)
}

// ownName puts a word in the place of the node's number as a resource name.
func (b *broker) ownName(text string) string {
	return strings.ReplaceAll(text, fmt.Sprintf("ResourceName=%q", ofNode(b)), "ResourceName=NODE")
}

// configValues shows keys with value, source and synonyms, once they are settled: on Kafka a broker learns
// of a change a moment after the controller has taken it.
func (b *broker) configValues(kind kmsg.ConfigResourceType, name string, keys ...string) string {
	pause()
	request := configsRequest(4, kind, name, keys)
	request.IncludeSynonyms = true
	answer := b.mustAsk(request).(*kmsg.DescribeConfigsResponse)
	var rows []string
	for _, config := range answer.Resources[0].Configs {
		row := fmt.Sprintf("%s=%s(%d)", config.Name, b.value("", reflectOf(config.Value)), config.Source)
		for _, synonym := range config.ConfigSynonyms {
			row += fmt.Sprintf(" %s=%s(%d)", synonym.Name, b.value("", reflectOf(synonym.Value)), synonym.Source)
		}
		rows = append(rows, row)
	}
	sort.Strings(rows)
	return errorName(answer.Resources[0].ErrorCode) + " [" + strings.Join(rows, ", ") + "]"
}

// alteringTopic changes configs of a fresh topic that has segment.ms and index.interval.bytes, and shows them.
func alteringTopic(changes ...change) func(*broker, int16) string {
	return alteringAs(func(*kmsg.IncrementalAlterConfigsRequest) {}, changes...)
}

func alteringAs(edit func(*kmsg.IncrementalAlterConfigsRequest), changes ...change) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		topic := ofTopic(b)
		request := altering(v, kmsg.ConfigResourceTypeTopic, topic, changes...)
		edit(request)
		keys := []string{"segment.ms", "index.interval.bytes", "max.message.bytes", throttled}
		return b.showAltered(request, kmsg.ConfigResourceTypeTopic, topic, keys...)
	}
}

func alteringNamed(kind kmsg.ConfigResourceType, name func(*broker) string, changes ...change) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		return b.ownName(b.show(altering(v, kind, name(b), changes...)))
	}
}

// alteringBroker changes a broker's config, shows it and what a topic inherits, and takes it back.
func alteringBroker(name func(*broker) string, changes ...change) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		topic := ofTopic(b)
		text := b.showAltered(altering(v, kmsg.ConfigResourceTypeBroker, name(b), changes...),
			kmsg.ConfigResourceTypeBroker, name(b), "message.max.bytes", "log.index.interval.bytes")
		text += " topic " + b.configValues(kmsg.ConfigResourceTypeTopic, topic, "max.message.bytes", "index.interval.bytes")
		for _, key := range []string{"message.max.bytes", "log.index.interval.bytes"} {
			b.mustAsk(altering(1, kmsg.ConfigResourceTypeBroker, name(b), changed(key, unset, "")))
		}
		return text + " back " + b.configValues(kmsg.ConfigResourceTypeTopic, topic, "max.message.bytes")
	}
}

var incrementalAlterConfigsProbes = []probe{
	{"set", alteringTopic(changed("max.message.bytes", set, "2222"))},
	{"set-again", alteringTopic(changed("segment.ms", set, "654321"))},
	{"set-spaces", alteringTopic(changed("segment.ms", set, " 654321 "))},
	{"set-two", alteringTopic(changed("max.message.bytes", set, "2222"), changed("segment.ms", set, "999"))},
	{"unset", alteringTopic(changed("segment.ms", unset, ""))},
	{"unset-with-null", alteringTopic(change{Name: "segment.ms", Op: unset})},
	{"unset-unset", alteringTopic(changed("max.message.bytes", unset, ""))},
	{"unset-unknown", alteringTopic(changed("no.such.key", unset, ""))},
	{"append", alteringTopic(changed(throttled, add, "0:1,1:1"))},
	{"append-twice-the-same", alteringTopic(changed(throttled, add, "0:1,0:1"))},
	{"append-to-a-number", alteringTopic(changed("segment.ms", add, "1"))},
	{"append-unknown", alteringTopic(changed("no.such.key", add, "1"))},
	{"append-bad", alteringTopic(changed(throttled, add, "x"))},
	{"append-there", alteringTopic(changed("cleanup.policy", add, "delete"))},
	{"subtract-absent", alteringTopic(changed(throttled, subtract, "0:1"))},
	{"subtract", func(b *broker, v int16) string {
		topic := ofTopic(b)
		b.mustAsk(altering(v, kmsg.ConfigResourceTypeTopic, topic, changed(throttled, set, "0:1,1:1,2:1")))
		request := altering(v, kmsg.ConfigResourceTypeTopic, topic, changed(throttled, subtract, "1:1,5:1"))
		return b.showAltered(request, kmsg.ConfigResourceTypeTopic, topic, throttled)
	}},
	{"subtract-from-a-number", alteringTopic(changed("segment.ms", subtract, "1"))},
	{"set-null", alteringTopic(change{Name: "segment.ms", Op: set})},
	{"set-unknown", alteringTopic(changed("no.such.key", set, "1"))},
	{"set-not-a-number", alteringTopic(changed("segment.ms", set, "soon"))},
	{"set-too-small", alteringTopic(changed("segment.bytes", set, "13"))},
	{"set-not-a-choice", alteringTopic(changed("message.timestamp.type", set, "Never"))},
	{"set-empty", alteringTopic(changed("segment.ms", set, ""))},
	{"good-and-bad", alteringTopic(changed("max.message.bytes", set, "2222"), changed("segment.ms", set, "soon"))},
	{"one-key-twice", alteringTopic(changed("segment.ms", set, "1000"), changed("segment.ms", unset, ""))},
	{"validate-only", alteringAs(func(r *kmsg.IncrementalAlterConfigsRequest) { r.ValidateOnly = true },
		changed("max.message.bytes", set, "2222"))},
	{"validate-only-bad", alteringAs(func(r *kmsg.IncrementalAlterConfigsRequest) { r.ValidateOnly = true },
		changed("max.message.bytes", set, "-2"))},
	{"twice-in-one", alteringAs(func(r *kmsg.IncrementalAlterConfigsRequest) { r.Resources = append(r.Resources, r.Resources[0]) },
		changed("max.message.bytes", set, "2222"))},
	{"good-and-absent", alteringAs(func(r *kmsg.IncrementalAlterConfigsRequest) {
		absent := r.Resources[0]
		absent.ResourceName = "probe.absent"
		r.Resources = append(r.Resources, absent)
	}, changed("max.message.bytes", set, "2222"))},
	{"no-changes", alteringTopic()},
	{"absent", alteringNamed(kmsg.ConfigResourceTypeTopic, literally("probe.absent"), changed("segment.ms", set, "1000"))},
	{"absent-and-bad", alteringNamed(kmsg.ConfigResourceTypeTopic, literally("probe.absent"), changed("segment.ms", set, "soon"))},
	{"invalid", alteringNamed(kmsg.ConfigResourceTypeTopic, literally(".."), changed("segment.ms", set, "1000"))},
	{"nameless", alteringNamed(kmsg.ConfigResourceTypeTopic, literally(""), changed("segment.ms", set, "1000"))},
	{"kind-99", alteringNamed(99, literally("x"), changed("segment.ms", set, "1000"))},
	{"broker", alteringBroker(ofNode, changed("message.max.bytes", set, "3333"))},
	{"every-broker", alteringBroker(literally(""), changed("message.max.bytes", set, "3333"))},
	{"every-broker-two", alteringBroker(literally(""), changed("message.max.bytes", set, "3333"), changed("log.index.interval.bytes", set, "777"))},
	{"broker-over-every-broker", func(b *broker, v int16) string {
		b.mustAsk(altering(v, kmsg.ConfigResourceTypeBroker, "", changed("message.max.bytes", set, "4444")))
		text := alteringBroker(ofNode, changed("message.max.bytes", set, "3333"))(b, v)
		b.mustAsk(altering(v, kmsg.ConfigResourceTypeBroker, "", changed("message.max.bytes", unset, "")))
		return text
	}},
	{"broker-bad", alteringNamed(kmsg.ConfigResourceTypeBroker, ofNode, changed("message.max.bytes", set, "-3"))},
	{"broker-not-a-number", alteringNamed(kmsg.ConfigResourceTypeBroker, ofNode, changed("message.max.bytes", set, "big"))},
	{"broker-read-only", alteringNamed(kmsg.ConfigResourceTypeBroker, ofNode, changed("num.partitions", set, "5"))},
	{"broker-stranger", alteringNamed(kmsg.ConfigResourceTypeBroker, literally("4711"), changed("message.max.bytes", set, "3333"))},
	{"broker-no-number", alteringNamed(kmsg.ConfigResourceTypeBroker, literally("first"), changed("message.max.bytes", set, "3333"))},
	{"nothing", func(b *broker, v int16) string {
		request := altering(v, kmsg.ConfigResourceTypeTopic, "")
		request.Resources = nil
		return b.show(request)
	}},
	{"in-force", func(b *broker, v int16) string {
		id := b.makeTopic(b.topic, 1, nil)
		text := b.show(altering(v, kmsg.ConfigResourceTypeTopic, b.topic, changed("max.message.bytes", set, "100")))
		pause()
		large := plain(strings.Repeat("x", 200)).bytes()
		text += " then " + b.show(produceRequest(9, -1, b.topic, id, 0, large))
		b.mustAsk(altering(v, kmsg.ConfigResourceTypeTopic, b.topic, changed("max.message.bytes", unset, "")))
		pause()
		return text + " then " + b.show(produceRequest(9, -1, b.topic, id, 0, large))
	}},
}

func replacing(v int16, kind kmsg.ConfigResourceType, name string, configs ...kmsg.AlterConfigsRequestResourceConfig) *kmsg.AlterConfigsRequest {
	request := kmsg.NewPtrAlterConfigsRequest()
	request.Version = v
	resource := kmsg.NewAlterConfigsRequestResource()
	resource.ResourceType, resource.ResourceName, resource.Configs = kind, name, configs
	request.Resources = append(request.Resources, resource)
	return request
}

func replacement(name, value string) kmsg.AlterConfigsRequestResourceConfig {
	return kmsg.AlterConfigsRequestResourceConfig{Name: name, Value: pointer(value)}
}

func replacingTopic(edit func(*kmsg.AlterConfigsRequest), configs ...kmsg.AlterConfigsRequestResourceConfig) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		topic := ofTopic(b)
		request := replacing(v, kmsg.ConfigResourceTypeTopic, topic, configs...)
		edit(request)
		keys := []string{"segment.ms", "index.interval.bytes", "max.message.bytes"}
		return b.showAltered(request, kmsg.ConfigResourceTypeTopic, topic, keys...)
	}
}

func replacingNamed(kind kmsg.ConfigResourceType, name func(*broker) string, configs ...kmsg.AlterConfigsRequestResourceConfig) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		return b.ownName(b.show(replacing(v, kind, name(b), configs...)))
	}
}

func asItIs(*kmsg.AlterConfigsRequest) {}

var alterConfigsProbes = []probe{
	{"replace", replacingTopic(asItIs, replacement("max.message.bytes", "2222"))},
	{"replace-with-nothing", replacingTopic(asItIs)},
	{"unknown", replacingTopic(asItIs, replacement("no.such.key", "1"))},
	{"not-a-number", replacingTopic(asItIs, replacement("segment.ms", "soon"))},
	{"null", replacingTopic(asItIs, kmsg.AlterConfigsRequestResourceConfig{Name: "segment.ms"})},
	{"one-key-twice", replacingTopic(asItIs, replacement("segment.ms", "1"), replacement("segment.ms", "2"))},
	{"validate-only", replacingTopic(func(r *kmsg.AlterConfigsRequest) { r.ValidateOnly = true }, replacement("segment.ms", "1"))},
	{"absent", replacingNamed(kmsg.ConfigResourceTypeTopic, literally("probe.absent"), replacement("segment.ms", "1"))},
	{"invalid", replacingNamed(kmsg.ConfigResourceTypeTopic, literally(".."), replacement("segment.ms", "1"))},
	{"nameless", replacingNamed(kmsg.ConfigResourceTypeTopic, literally(""), replacement("segment.ms", "1"))},
	{"kind-99", replacingNamed(99, literally("x"), replacement("segment.ms", "1"))},
	{"broker-stranger", replacingNamed(kmsg.ConfigResourceTypeBroker, literally("4711"), replacement("message.max.bytes", "3333"))},
	{"broker", func(b *broker, v int16) string {
		request := replacing(v, kmsg.ConfigResourceTypeBroker, ofNode(b), replacement("message.max.bytes", "3333"))
		text := b.showAltered(request, kmsg.ConfigResourceTypeBroker, ofNode(b), "message.max.bytes")
		request = replacing(v, kmsg.ConfigResourceTypeBroker, ofNode(b))
		return text + " back " + b.showAltered(request, kmsg.ConfigResourceTypeBroker, ofNode(b), "message.max.bytes")
	}},
}

// listingResources asks for the resources of these types and shows those that every broker has.
func listingResources(types ...int8) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		b.shared("probe.first", 1)
		request := kmsg.NewPtrListConfigResourcesRequest()
		request.Version = v
		if v == 0 && len(types) > 0 {
			return skipped
		}
		request.ResourceTypes = types
		answer := b.mustAsk(request).(*kmsg.ListConfigResourcesResponse)
		var rows []string
		for _, resource := range answer.ConfigResources {
			// 8 is the loggers of a broker, which is Kafka's own affair.
			if resource.Type == 8 || resource.Type == 2 && resource.Name != "probe.first" {
				continue
			}
			if resource.Name == ofNode(b) {
				resource.Name = "NODE"
			}
			rows = append(rows, fmt.Sprintf("%s(%d)", resource.Name, resource.Type))
		}
		sort.Strings(rows)
		return errorName(answer.ErrorCode) + " " + fmt.Sprint(rows)
	}
}

var listConfigResourcesProbes = []probe{
	{"all", listingResources()},
	{"topics", listingResources(2)},
	{"brokers", listingResources(4)},
	{"client-metrics", listingResources(16)},
	{"groups", listingResources(32)},
	{"topics-and-brokers", listingResources(2, 4)},
	{"topics-twice", listingResources(2, 2)},
	{"kind-99", listingResources(99)},
}
