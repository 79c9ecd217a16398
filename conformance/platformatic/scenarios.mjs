// The scenarios of @platformatic/kafka: scenarios.mjs HOST:PORT [SCENARIO].
//
// Prints one line per observation to stdout, the same on every run against a fresh broker: no ids, no ports,
// no times of the broker. It speaks only the newest versions of what it needs.

import {
  Admin, Consumer, MessagesStreamFallbackModes, MessagesStreamModes, ProduceAcks, Producer, stringDeserializers, stringSerializers,
} from '@platformatic/kafka'

const BASE_TIME = 1_700_000_000_000n

const say = (what, observation) => console.log(`${what} -> ${observation}`)

/** What a call comes to: ok, or the name of the error that the broker gave. */
async function outcome(call) {
  try {
    await call
    return 'ok'
  } catch (error) {
    return apiId(error) || error.code || error.name
  }
}

/** The name of the broker's error somewhere inside one of the client's. */
function apiId(error) {
  if (error.apiId) return error.apiId
  const inner = [...(error.errors || []), error.cause].filter(Boolean)
  return inner.map(apiId).find(Boolean)
}

async function until(so) {
  const deadline = Date.now() + 30_000
  while (!(await so())) {
    if (Date.now() > deadline) throw new Error('waited 30 s')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

class Here {
  constructor(bootstrap) {
    this.options = { clientId: 'scenarios', bootstrapBrokers: [bootstrap], retries: 200, retryDelay: 50, metadataMaxAge: 100 }
    this.admin = new Admin(this.options)
  }

  producer(changes = {}) {
    return new Producer({ ...this.options, serializers: stringSerializers, ...changes })
  }

  consumer(groupId, changes = {}) {
    const fixed = { groupId, autocommit: false, maxWaitTime: 100, deserializers: stringDeserializers }
    return new Consumer({ ...this.options, ...fixed, heartbeatInterval: 200, sessionTimeout: 10_000, ...changes })
  }

  async partitions(topic) {
    try {
      const found = await this.admin.metadata({ topics: [topic], forceUpdate: true })
      return found.topics.get(topic).partitionsCount
    } catch {
      return 0
    }
  }

  async create(topic, partitions, configs = {}) {
    const entries = Object.entries(configs).map(([name, value]) => ({ name, value }))
    await this.admin.createTopics({ topics: [topic], partitions, replicas: 1, configs: entries })
    await until(async () => (await this.partitions(topic)) === partitions)
  }

  async fill(topic, partitions, count, changes = {}) {
    const producer = this.producer()
    for (let n = 0; n < count; n++) {
      await producer.send({ messages: [message(topic, n % partitions, n)], acks: ProduceAcks.ALL, ...changes })
    }
    await producer.close()
  }
}

const message = (topic, partition, n) => ({
  topic,
  partition,
  key: `key-${n}`,
  value: `value-${n}`,
  timestamp: BASE_TIME + BigInt(n) * 1000n,
  headers: { n: String(n) },
})

const shown = (record) =>
  `${record.partition}@${record.offset} +${record.timestamp - BASE_TIME} ${record.key}=${record.value} n=${record.headers.get('n')}`

/** Lets a stream go on; one of a consumer that is closed may complain of that. */
function flow(stream) {
  stream.on('error', () => {})
  return stream.resume()
}

/** The first records of a stream, in order of partition and offset. The stream goes on. */
async function read(stream, count) {
  const records = []
  flow(stream).on('data', (record) => records.push(record))
  await until(() => records.length >= count)
  return records.sort((a, b) => a.partition - b.partition || Number(a.offset - b.offset))
}

async function cluster(here) {
  const found = await here.admin.metadata({ topics: [] })
  say('brokers', found.brokers.size)
  say('controller is a broker', found.brokers.has(found.controllerId))
  say('cluster id length', found.id.length)
}

async function topics(here) {
  const create = (topic, changes = {}) => outcome(here.admin.createTopics({ topics: [topic], partitions: 1, replicas: 1, ...changes }))
  say('create', await create('topics.a', { partitions: 3 }))
  await until(async () => (await here.partitions('topics.a')) === 3)
  for (const name of ['topics.a', '.', 'a/b', 'größe', 'l'.repeat(250), 'topics_a']) {
    say(`create '${name.slice(0, 20)}'`, await create(name))
  }
  say('two replicas', await create('topics.two', { replicas: 2 }))
  say('unknown key', await create('topics.key', { configs: [{ name: 'no.such.key', value: '1' }] }))
  say('list', (await here.admin.listTopics()).filter((name) => name.startsWith('topics.')).sort())
  for (const count of [5, 5, 2]) {
    say(`grow to ${count}`, await outcome(here.admin.createPartitions({ topics: [{ name: 'topics.a', count, assignments: [] }] })))
  }
  say('delete', await outcome(here.admin.deleteTopics({ topics: ['topics.a'] })))
  await until(async () => (await here.partitions('topics.a')) === 0)
  say('delete again', await outcome(here.admin.deleteTopics({ topics: ['topics.a'] })))
}

async function configs(here) {
  await here.create('configs.a', 1, { 'segment.ms': '222000' })
  const resource = { resourceType: 2, resourceName: 'configs.a' }
  const described = async () => {
    const [found] = await here.admin.describeConfigs({ resources: [{ ...resource, configurationKeys: ['segment.ms', 'max.message.bytes'] }] })
    return found.configs.map((config) => `${config.name}=${config.value}/${config.configSource}`).sort().join(' ')
  }
  say('described', await described())
  const change = (configs) => outcome(here.admin.incrementalAlterConfigs({ resources: [{ ...resource, configs }] }))
  say('alter', await change([{ name: 'max.message.bytes', value: '2222', configOperation: 0 }, { name: 'segment.ms', configOperation: 1 }]))
  await until(async () => (await described()).startsWith('max.message.bytes=2222'))
  say('described', await described())
  say('not a number', await change([{ name: 'segment.ms', value: 'soon', configOperation: 0 }]))
}

async function produce(here) {
  await here.create('produce.a', 2)
  for (const [name, acks] of [['all', ProduceAcks.ALL], ['one', ProduceAcks.LEADER]]) {
    const producer = here.producer()
    for (let n = 0; n < 4; n++) {
      const { offsets } = await producer.send({ messages: [message('produce.a', n % 2, n)], acks })
      say(`acks ${name}`, offsets.map((at) => `${at.partition}@${at.offset}`).join(' '))
    }
    await producer.close()
  }
  const idempotent = here.producer({ idempotent: true })
  const { offsets } = await idempotent.send({ messages: [message('produce.a', 0, 9), message('produce.a', 1, 10)], acks: ProduceAcks.ALL })
  say('idempotent', offsets.map((at) => `${at.partition}@${at.offset}`).sort().join(' '))
  await idempotent.close()
}

async function codecs(here) {
  for (const compression of ['none', 'gzip', 'snappy', 'lz4']) {
    const topic = `codecs.${compression}`
    await here.create(topic, 1)
    const producer = here.producer()
    const messages = [0, 1, 2].map((n) => message(topic, 0, n))
    say(compression, await outcome(producer.send({ messages, acks: ProduceAcks.ALL, compression })))
    await producer.close()
    const consumer = here.consumer(`codecs.${compression}`)
    const stream = await consumer.consume({ topics: [topic], mode: MessagesStreamModes.EARLIEST })
    for (const record of await read(stream, 3)) say(`${compression} read`, shown(record))
    await consumer.close(true)
  }
}

async function offsets(here) {
  await here.create('offsets.a', 2)
  await here.fill('offsets.a', 2, 10)
  const consumer = here.consumer('offsets')
  for (const [name, timestamp] of [['latest', -1n], ['earliest', -2n], ['at +4000', BASE_TIME + 4000n], ['in the future', BASE_TIME + 99_000_000n]]) {
    const found = await consumer.listOffsets({ topics: ['offsets.a'], timestamp })
    say(name, found.get('offsets.a'))
  }
  await consumer.close(true)
}

async function groups(here) {
  await here.create('groups.a', 4)
  await here.fill('groups.a', 4, 40)
  const start = { topics: ['groups.a'], mode: MessagesStreamModes.COMMITTED, fallbackMode: MessagesStreamFallbackModes.EARLIEST }
  const owned = (consumer) => (consumer.assignments || []).flatMap((of) => of.partitions).length
  const first = here.consumer('groups')
  const stream = await first.consume(start)
  const records = await read(stream, 40)
  say('first life', `${records.length} records`)
  for (const record of records.slice(0, 2)) say('read', shown(record))
  say('alone', owned(first))
  const last = records.filter((record) => record.partition === 1).at(-1)
  say('commit', await outcome(first.commit({ offsets: [{ topic: 'groups.a', partition: 1, offset: last.offset + 1n, leaderEpoch: -1 }] })))
  const second = here.consumer('groups')
  flow(await second.consume(start))
  await until(() => owned(first) === 2 && owned(second) === 2)
  say('two', [owned(first), owned(second)])
  const described = (await here.admin.describeGroups({ groups: ['groups'] })).get('groups')
  say('described', `${described.state} ${described.protocolType} ${described.protocol} ${described.members.size}`)
  say('delete a live group', await outcome(here.admin.deleteGroups({ groups: ['groups'] })))
  await second.close(true)
  await until(() => owned(first) === 4)
  say('after a leave', owned(first))
  await first.close(true)
  const kept = await here.admin.listConsumerGroupOffsets({ groups: ['groups'] })
  say('kept', kept.flatMap((group) => group.topics.flatMap((topic) => topic.partitions.map((at) => `${at.partitionIndex}@${at.committedOffset}`))))
  const listed = (await here.admin.listGroups()).get('groups')
  say('listed', `${listed.state} ${listed.protocolType}`)
  const third = here.consumer('groups')
  const again = await third.consume(start)
  say('second life', `${(await read(again, 30)).filter((record) => record.partition === 1).length} of partition 1`)
  await third.close(true)
  const one = { groupInstanceId: 'one' }
  for (const life of ['static', 'static restarted']) {
    const member = here.consumer('groups.static', one)
    flow(await member.consume(start))
    await until(() => owned(member) === 4)
    say(life, owned(member))
    await member.close(true)
  }
  say('delete', await outcome(here.admin.deleteGroups({ groups: ['groups'] })))
  say('delete again', await outcome(here.admin.deleteGroups({ groups: ['groups'] })))
}

async function newgroups(here) {
  await here.create('newgroups.a', 4)
  await here.fill('newgroups.a', 4, 20)
  const start = { topics: ['newgroups.a'], mode: MessagesStreamModes.COMMITTED, fallbackMode: MessagesStreamFallbackModes.EARLIEST }
  const young = () => here.consumer('newgroups', { groupProtocol: 'consumer' })
  const owned = (consumer) => (consumer.assignments || []).flatMap((of) => of.partitions).length
  const first = young()
  const records = await read(await first.consume(start), 20)
  say('first life', `${records.length} records`)
  const second = young()
  flow(await second.consume(start))
  await until(() => owned(first) === 2 && owned(second) === 2)
  say('two', [owned(first), owned(second)])
  await second.close(true)
  await until(() => owned(first) === 4)
  say('after a leave', owned(first))
  await first.close(true)
  const listed = (await here.admin.listGroups({ types: ['consumer'] })).get('newgroups')
  say('listed', `${listed.state} ${listed.groupType}`)
}

const SCENARIOS = { cluster, topics, configs, produce, codecs, offsets, groups, newgroups }

const [bootstrap, only] = process.argv.slice(2)
const here = new Here(bootstrap)
for (const [name, scenario] of Object.entries(SCENARIOS)) {
  if (only && only !== name) continue
  console.log(`# ${name}`)
  await scenario(here)
}
await here.admin.close()
process.exit(0)
