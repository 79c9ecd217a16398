package main

import (
	"encoding/binary"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A frameProbe sends bytes as they are; the transcript says what the broker did with the connection.
type frameProbe struct {
	name  string
	frame func(b *broker) []byte
}

// runFrames shows that what no API can answer ends the connection, and nothing but it.
func runFrames(b *broker) {
	fmt.Println("# frames")
	for _, a := range apis() {
		if a.key == 18 {
			continue
		}
		for _, version := range []int16{a.min - 1, a.max + 1, 99, -5} {
			if version == -1 {
				continue
			}
			show(b, frameProbe{fmt.Sprintf("%s v%d", a.name, version), headed(a.key, version)})
		}
	}
	for _, p := range frameProbes {
		show(b, p)
	}
}

func show(b *broker, p frameProbe) {
	b.hangUp()
	b.sendBytes(p.frame(b))
	frame, err := b.receiveFrame()
	switch {
	case err != nil:
		fmt.Printf("%s -> %s\n", p.name, err)
	default:
		fmt.Printf("%s -> answer of %d bytes\n", p.name, len(frame))
	}
	b.hangUp()
	b.mustAsk(apiVersionsRequest(3, "prober")) // the broker lives
}

func sized(body []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

// headed is a request header of version 1 and nothing behind it.
func headed(key, version int16) func(*broker) []byte {
	return func(*broker) []byte {
		body := binary.BigEndian.AppendUint16(nil, uint16(key))
		body = binary.BigEndian.AppendUint16(body, uint16(version))
		body = binary.BigEndian.AppendUint32(body, 7)
		return sized(append(body, 0xff, 0xff))
	}
}

func raw(text ...byte) func(*broker) []byte { return func(*broker) []byte { return text } }

func whole(b *broker, request kmsg.Request) []byte {
	b.correlation++
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("prober")).AppendRequest(nil, request, b.correlation)
}

var frameProbes = []frameProbe{
	{"api-key 9999", headed(9999, 0)},
	{"api-key -1", headed(-1, 0)},
	{"length -1", raw(0xff, 0xff, 0xff, 0xff)},
	{"length min", raw(0x80, 0, 0, 0)},
	{"length 1 GiB", raw(0x40, 0, 0, 0, 0, 3, 0, 9)},
	{"length above 100 MiB", raw(0x06, 0x40, 0, 1, 0, 3, 0, 9)},
	{"header cut", func(*broker) []byte { return sized([]byte{0, 3, 0}) }},
	{"client id beyond the frame", func(*broker) []byte { return sized([]byte{0, 3, 0, 1, 0, 0, 0, 7, 0x7f, 0xff, 'a'}) }},
	{"Metadata body cut", func(b *broker) []byte {
		frame := whole(b, metadataRequest(9, "probe.first"))
		return sized(frame[4 : len(frame)-4])
	}},
	{"Metadata lying count", func(b *broker) []byte {
		frame := whole(b, metadataRequest(1, "probe.first"))
		binary.BigEndian.PutUint32(frame[len(frame)-17:], 0x7fffffff)
		return frame
	}},
	{"Produce lying records length", func(b *broker) []byte {
		frame := whole(b, produceRequest(7, -1, producedTopic, strangerID, 0, plain("x").bytes()))
		at := len(frame) - len(plain("x").bytes()) - 4
		binary.BigEndian.PutUint32(frame[at:], 0x7fffffff)
		return frame
	}},
}
