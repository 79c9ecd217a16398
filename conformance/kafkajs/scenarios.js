// The scenarios of kafkajs: scenarios.js HOST:PORT [SCENARIO].
//
// Prints one line per observation to stdout, the same on every run against a fresh broker: no ids, no ports,
// no times of the broker. Where there is no group, records are read through its connection to a broker.

const { Kafka, CompressionTypes, ConfigResourceTypes, logLevel, Partitioners } = require('kafkajs')

const BASE_TIME = 1_700_000_000_000

const say = (what, observation) => console.log(`${what} -> ${observation}`)

/** What a call comes to: ok, or the type of the protocol error. */
async function outcome(call) {
  try {
    await call
    return 'ok'
  } catch (error) {
    const inner = error.errors ? error.errors[0] : error.cause || error
    return inner.type || inner.name
  }
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
    const retry = { initialRetryTime: 20, retries: 5 }
    this.kafka = new Kafka({ brokers: [bootstrap], logLevel: logLevel.NOTHING, retry })
    this.admin = this.kafka.admin()
  }

  async start() {
    await this.admin.connect()
    const symbol = Object.getOwnPropertySymbols(this.kafka).find((s) => String(s).includes('createCluster'))
    this.cluster = this.kafka[symbol]({ allowAutoTopicCreation: false })
    await this.cluster.connect()
    await this.cluster.refreshMetadata()
    this.broker = await this.cluster.findControllerBroker()
  }

  async stop() {
    await this.cluster.disconnect()
    await this.admin.disconnect()
  }

  async partitions(topic) {
    try {
      const { topics } = await this.admin.fetchTopicMetadata({ topics: [topic] })
      return topics[0].partitions.filter((p) => p.leader >= 0).length
    } catch {
      return 0
    }
  }

  async create(topic, numPartitions, configs = {}) {
    const configEntries = Object.entries(configs).map(([name, value]) => ({ name, value }))
    await this.admin.createTopics({ topics: [{ topic, numPartitions, replicationFactor: 1, configEntries }] })
    await until(async () => (await this.partitions(topic)) === numPartitions)
  }

  async withProducer(options, use) {
    const producer = this.kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner, ...options })
    await producer.connect()
    try {
      return await use(producer)
    } finally {
      await producer.disconnect()
    }
  }

  /** One Fetch request of some partitions: from, by partition number, their offsets. */
  async fetch(topic, from, limits = {}) {
    const partitions = Object.entries(from).map(([partition, fetchOffset]) => ({
      partition: Number(partition),
      fetchOffset: String(fetchOffset),
      maxBytes: limits.partitionMaxBytes || 1_000_000,
    }))
    const request = { isolationLevel: 0, maxWaitTime: 100, ...limits, topics: [{ topic, partitions }] }
    const { responses } = await this.broker.fetch(request)
    const rows = responses.flatMap((response) => response.partitions)
    return rows.sort((a, b) => a.partition - b.partition)
  }
}

function shown(message) {
  const headers = Object.entries(message.headers || {}).map(([key, value]) => `${key}=${value}`).join(' ')
  return `@${message.offset} +${message.timestamp - BASE_TIME} ${message.key}=${message.value} ${headers}`
}

const message = (partition, n) => ({
  partition,
  key: `key-${n}`,
  value: `value-${n}`,
  timestamp: String(BASE_TIME + n * 1000),
  headers: { n: String(n) },
})

async function cluster(here) {
  const found = await here.admin.describeCluster()
  say('brokers', found.brokers.length)
  say('controller is a broker', found.brokers[0].nodeId === found.controller)
  say('cluster id length', found.clusterId.length)
  const versions = here.broker.versions
  for (const key of [0, 1, 2, 3, 18, 19, 20, 22, 23, 32, 37]) {
    say(`api ${key}`, `${versions[key].minVersion} to ${versions[key].maxVersion}`)
  }
}

async function topics(here) {
  const create = (topic, changes) => {
    const wanted = { topic, numPartitions: 1, replicationFactor: 1, ...changes }
    return outcome(here.admin.createTopics({ topics: [wanted] }))
  }
  say('create', await create('topics.a', { numPartitions: 3 }))
  await until(async () => (await here.partitions('topics.a')) === 3)
  say('create again', await outcome(here.admin.createTopics({ topics: [{ topic: 'topics.a' }] }).then((made) => {
    if (!made) throw Object.assign(new Error(), { type: 'TOPIC_ALREADY_EXISTS' })
  })))
  for (const name of ['.', '..', 'a/b', 'größe', 'l'.repeat(250), 'topics_a']) {
    say(`create '${name.slice(0, 20)}'`, await create(name))
  }
  say('no partitions', await create('topics.zero', { numPartitions: 0 }))
  say('two replicas', await create('topics.two', { replicationFactor: 2 }))
  say('unknown key', await create('topics.key', { configEntries: [{ name: 'no.such.key', value: '1' }] }))
  say('assigned to a stranger', await create('topics.far', {
    numPartitions: -1, replicationFactor: -1, replicaAssignment: [{ partition: 0, replicas: [4711] }],
  }))
  say('list', (await here.admin.listTopics()).filter((name) => name.startsWith('topics.')).sort())
  for (const count of [5, 5, 2]) {
    say(`grow to ${count}`, await outcome(here.admin.createPartitions({ topicPartitions: [{ topic: 'topics.a', count }] })))
  }
  say('grow unknown', await outcome(here.admin.createPartitions({ topicPartitions: [{ topic: 'topics.absent', count: 2 }] })))
  say('delete', await outcome(here.admin.deleteTopics({ topics: ['topics.a'] })))
  await until(async () => !(await here.admin.listTopics()).includes('topics.a'))
  await here.create('topics.a', 2)
  say('recreated', await here.partitions('topics.a'))
}

async function configs(here) {
  await here.create('configs.a', 1, { 'segment.ms': '222000', 'index.interval.bytes': '8192' })
  const keys = ['cleanup.policy', 'compression.type', 'max.message.bytes', 'message.timestamp.type', 'index.interval.bytes', 'segment.ms']
  for (const name of ['configs.a', 'configs.absent']) {
    const resources = [{ type: ConfigResourceTypes.TOPIC, name, configNames: keys }]
    try {
      const answer = await here.admin.describeConfigs({ includeSynonyms: false, resources })
      const entries = answer.resources[0].configEntries
      for (const entry of entries.sort((a, b) => (a.configName < b.configName ? -1 : 1))) {
        say(entry.configName, `${entry.configValue} source=${entry.configSource} readonly=${entry.readOnly}`)
      }
    } catch (error) {
      say(`describe ${name}`, error.type)
    }
  }
}

async function produce(here) {
  await here.create('produce.a', 2)
  const modes = [['idempotent', { idempotent: true }, -1], ['all', {}, -1], ['leader', {}, 1], ['none', {}, 0]]
  for (const [name, options, acks] of modes) {
    await here.withProducer(options, async (producer) => {
      for (let n = 0; n < 4; n++) {
        const sent = await producer.send({ topic: 'produce.a', acks, messages: [message(n % 2, n)] })
        say(`${name} produce[${n}]`, acks ? `${sent[0].partition}@${sent[0].baseOffset}` : 'sent')
      }
    })
  }
  await until(async () => (await here.admin.fetchTopicOffsets('produce.a')).every((p) => p.high === '8'))
  for (const row of await here.fetch('produce.a', { 0: 0, 1: 0 })) {
    for (const read of row.messages) say(`read ${row.partition}`, shown(read))
  }
  await here.create('produce.keys', 7)
  await here.withProducer({}, async (producer) => {
    for (const key of ['a', 'b', 'größe', 'key-5']) {
      say(`key '${key}'`, (await producer.send({ topic: 'produce.keys', messages: [{ key, value: 'v' }] }))[0].partition)
    }
  })
}

async function codecs(here) {
  for (const codec of ['None', 'GZIP']) {
    const topic = `codecs.${codec}`
    await here.create(topic, 1)
    await here.withProducer({}, async (producer) => {
      const messages = Array.from({ length: 20 }, (_, n) => message(0, n))
      await producer.send({ topic, compression: CompressionTypes[codec], messages })
    })
    const [row] = await here.fetch(topic, { 0: 0 })
    say(codec, `${row.messages.length} records, ${shown(row.messages[0])}, ${shown(row.messages[19])}`)
  }
}

async function errors(here) {
  await here.create('errors.small', 1, { 'max.message.bytes': '500' })
  await here.withProducer({ allowAutoTopicCreation: false, retry: { retries: 1 } }, async (producer) => {
    const send = (topic, changes) => outcome(producer.send({ topic, messages: [{ value: 'v', ...changes }] }))
    say('too large', await send('errors.small', { value: 'v'.repeat(2000) }))
    say('fits', await send('errors.small'))
    say('unknown topic', await send('errors.absent'))
    say('invalid topic', await send('a/b'))
    say('in the future', await send('errors.small', { timestamp: String(Date.now() + 3 * 3_600_000) }))
  })
  const from = async (topic, offsets) => outcome(here.fetch(topic, offsets))
  say('fetch beyond the end', await from('errors.small', { 0: 100 }))
  say('fetch partition 9', await from('errors.small', { 9: 0 }))
  say('fetch an unknown topic', await from('errors.absent', { 0: 0 }))
}

async function autocreate(here) {
  await here.withProducer({ allowAutoTopicCreation: true }, async (producer) => {
    const sent = await producer.send({ topic: 'autocreate.made', messages: [{ value: 'v' }] })
    say('producer', `${sent[0].partition}@${sent[0].baseOffset}`)
  })
  say('made', await here.partitions('autocreate.made'))
}

async function offsets(here) {
  await here.create('offsets.a', 2)
  await here.withProducer({}, async (producer) => {
    for (const n of [0, 1, 2, 5, 3, 4]) await producer.send({ topic: 'offsets.a', messages: [message(0, n)] })
  })
  const byPartition = (rows) => rows.sort((a, b) => a.partition - b.partition)
  for (const { partition, low, high } of byPartition(await here.admin.fetchTopicOffsets('offsets.a'))) {
    say(`offsets of ${partition}`, `low=${low} high=${high}`)
  }
  for (const after of [-1, 0, 1, 2500, 5000, 5001]) {
    const found = byPartition(await here.admin.fetchTopicOffsetsByTimestamp('offsets.a', BASE_TIME + after))
    say(`at ${after}`, found.map((row) => `${row.partition}@${row.offset}`).join(' '))
  }
  say('fetch from 4', (await here.fetch('offsets.a', { 0: 4 }))[0].messages.map(shown))
  say('fetch one byte', (await here.fetch('offsets.a', { 0: 2 }, { partitionMaxBytes: 1 }))[0].messages.map(shown))
  say('fetch at the end', (await here.fetch('offsets.a', { 0: 6 }))[0].messages.length)
  say('fetch committed', (await here.fetch('offsets.a', { 0: 5 }, { isolationLevel: 1 }))[0].messages.map(shown))
}

/** A member of a group that keeps what it reads and owns. */
async function member(here, groupId, topics) {
  const consumer = here.kafka.consumer({ groupId, sessionTimeout: 10_000, heartbeatInterval: 200, maxWaitTimeInMs: 100 })
  const one = { consumer, values: [], owned: [] }
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    one.owned = Object.values(payload.memberAssignment).flat().sort()
  })
  await consumer.connect()
  await consumer.subscribe({ topics, fromBeginning: true })
  await consumer.run({ eachMessage: async ({ message }) => { one.values.push(message.value.toString()) } })
  return one
}

async function groups(here) {
  await here.create('groups.a', 4)
  const producer = here.kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner })
  await producer.connect()
  const produce = (count) => producer.send({
    topic: 'groups.a',
    messages: Array.from({ length: count }, (_, i) => ({ partition: i % 4, value: `v${i}` })),
  })
  await produce(40)
  const first = await member(here, 'groups', ['groups.a'])
  await until(() => first.values.length >= 40)
  say('first life', `${first.values.length} records`)
  say('alone', first.owned.join(' '))
  const second = await member(here, 'groups', ['groups.a'])
  await until(() => first.owned.length === 2 && second.owned.length === 2)
  say('two', [...first.owned, ...second.owned].sort().join(' '))
  await second.consumer.disconnect()
  await until(() => first.owned.length === 4)
  say('after a leave', first.owned.join(' '))
  await first.consumer.disconnect()
  await produce(8)
  const third = await member(here, 'groups', ['groups.a'])
  await until(() => third.values.length >= 8)
  say('second life', `${third.values.length} records`)
  third.consumer.seek({ topic: 'groups.a', partition: 0, offset: '5' })
  await until(() => third.values.length >= 15)
  say('after a seek', `${third.values.length} records`)
  const { groups: described } = await here.admin.describeGroups(['groups'])
  say('described', `${described[0].state} ${described[0].protocol} ${described[0].members.length}`)
  say('delete a live group', await outcome(here.admin.deleteGroups(['groups'])))
  await third.consumer.disconnect()
  const offsets = async () => {
    const [topic] = await here.admin.fetchOffsets({ groupId: 'groups', topics: ['groups.a'] })
    return topic.partitions.map((row) => `${row.partition}@${row.offset}`).sort().join(' ')
  }
  say('offsets', await offsets())
  await here.admin.setOffsets({ groupId: 'groups', topic: 'groups.a', partitions: [{ partition: 1, offset: '4' }] })
  say('offsets set', await offsets())
  await here.admin.resetOffsets({ groupId: 'groups', topic: 'groups.a', earliest: true })
  say('offsets reset', await offsets())
  const { groups: listed } = await here.admin.listGroups()
  say('listed', JSON.stringify(listed.filter((group) => group.groupId === 'groups')))
  say('delete', await outcome(here.admin.deleteGroups(['groups'])))
  await producer.disconnect()
}

const scenarios = { cluster, topics, configs, produce, codecs, errors, autocreate, offsets, groups }

async function main([bootstrap, only]) {
  const here = new Here(bootstrap)
  await here.start()
  for (const [name, run] of Object.entries(scenarios)) {
    if (!only || only === name) {
      console.log(`# ${name}`)
      await run(here)
    }
  }
  await here.stop()
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error)
  process.exit(1)
})
