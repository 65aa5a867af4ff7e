// A device and the service behind it, with Microsoft's own clients for both:
// registry, twins, methods, hub jobs, configurations, queries and messages. Says
// what came as one line of JSON; then it waits for messages to the device.
'use strict';

const fs = require('fs');
const https = require('https');
const tls = require('tls');
const { once } = require('events');
const { Client: Device, Message } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');
const { Client: Service, JobClient, Registry } = require('azure-iothub');

const [host, mqttPort, webPort, ca, deviceId, key] = process.argv.slice(2);
const trusted = fs.readFileSync(ca);
const owner = `HostName=${host};SharedAccessKeyName=iothubowner;SharedAccessKey=a2V5`;

// The clients want a hub by its name on port 443.
const agent = new https.Agent();
agent.createConnection = (options, done) => {
  const socket = tls.connect({ host: '127.0.0.1', port: Number(webPort), servername: 'localhost', ca: trusted }, () => done(null, socket));
  socket.on('error', done);
};

function toFake(client) {
  client._restApiClient.setOptions({ http: { agent } });
  return client;
}

const registry = toFake(Registry.fromConnectionString(owner));
const jobs = toFake(JobClient.fromConnectionString(owner));
const service = toFake(Service.fromConnectionString(owner));

const value = (answer) => answer.jobStatus || answer.result || answer;
const status = (call) => call.then(() => 200, (err) => err.name);

async function connect() {
  const device = Device.fromConnectionString(`HostName=${host};DeviceId=${deviceId};SharedAccessKey=${key};GatewayHostName=localhost:${mqttPort}`, Mqtt);
  await device.setOptions({ ca: trusted.toString() });
  await device.open();
  device.onDeviceMethod('echo', (request, response) => response.send(418, { got: request.payload }));
  device.onDeviceMethod('empty', (request, response) => response.send(204));
  return device;
}

async function registered(said) {
  said.made = (await registry.create({ deviceId: 'gw-2', status: 'disabled' })).responseBody.status;
  said.twice = await status(registry.create({ deviceId: 'gw-2' }));
  said.listed = (await registry.list()).responseBody.map((d) => d.deviceId);
  said.keys = (await registry.get('gw-2')).responseBody.authentication.symmetricKey.primaryKey !== '';
  await registry.delete('gw-2');
  said.gone = await status(registry.get('gw-2'));
}

async function twins(said, device) {
  const twin = await device.getTwin();
  const desired = new Promise((resolve) => twin.on('properties.desired.jobs', resolve));
  const behind = await registry.getTwin(deviceId);
  const stale = behind.responseBody.etag;
  const fresh = await registry.updateTwin(deviceId, { tags: { site: 'berlin' }, properties: { desired: { jobs: { a: 1 } } } }, stale);
  said.etag = fresh.responseBody.etag !== stale && fresh.responseBody.tags.site;
  said.stale = await status(registry.updateTwin(deviceId, { tags: { site: 'bonn' } }, stale));
  said.desired = await desired;
  await new Promise((resolve, reject) => twin.properties.reported.update({ facts: { board: 'x' } }, (err) => (err ? reject(err) : resolve())));
  const rows = await registry.createQuery("SELECT deviceId, tags.site AS site FROM devices WHERE tags.site IN ['berlin', 'bern'] OR tags.site = 'x'", 10).next();
  said.rows = rows.result;
}

async function methods(said) {
  said.echo = value(await service.invokeDeviceMethod(deviceId, { methodName: 'echo', payload: { n: 1 }, responseTimeoutInSeconds: 20 }));
  said.empty = value(await service.invokeDeviceMethod(deviceId, { methodName: 'empty', responseTimeoutInSeconds: 20 }));
  said.bounds = await status(service.invokeDeviceMethod(deviceId, { methodName: 'echo', responseTimeoutInSeconds: 301 }));
  said.nobody = await status(service.invokeDeviceMethod('nobody', { methodName: 'echo' }));
}

async function fleet(said) {
  await registry.addConfiguration({
    id: 'roll', schemaVersion: '1.0', priority: 1, targetCondition: "properties.reported.facts.board = 'x'",
    content: { deviceContent: { 'properties.desired.roll': { on: true } } },
  });
  said.configured = (await registry.getTwin(deviceId)).responseBody.properties.desired.roll;
  said.configurations = (await registry.getConfigurations()).responseBody.map((c) => c.id);
  await registry.removeConfiguration('roll');
  await registry.applyConfigurationContentOnDevice(deviceId, { deviceContent: { 'properties.desired.once': 1 } });
  said.applied = (await registry.getTwin(deviceId)).responseBody.properties.desired.once;
  await jobs.scheduleDeviceMethod('call', `deviceId = '${deviceId}'`, { methodName: 'echo', responseTimeoutInSeconds: 20 }, new Date(), 60);
  await jobs.scheduleTwinUpdate('later', '*', { tags: { a: 1 } }, new Date(Date.now() + 3600000), 60);
  said.cancelled = value(await jobs.cancelJob('later')).status;
  for (said.job = ''; said.job !== 'completed' && said.job !== undefined;) said.job = value(await jobs.getJob('call')).status;
  said.jobs = value(await jobs.createQuery('scheduleDeviceMethod').next()).map((j) => j.jobId);
}

async function main() {
  const said = {};
  await registered(said);
  const device = await connect();
  await twins(said, device);
  await methods(said);
  await fleet(said);
  const event = new Message(JSON.stringify({ n: 1 }));
  event.contentType = 'application/json';
  event.contentEncoding = 'utf-8';
  event.properties.add('kind', 'health');
  await device.sendEvent(event);
  console.log(JSON.stringify(said));
  const message = once(device, 'message');
  const [came] = await message;
  await device.complete(came);
  console.log(JSON.stringify({ message: came.data.toString(), property: came.properties.getValue('n') }));
  await device.close();
}

main().then(() => process.exit(0), (err) => {
  console.error(err.stack, err.responseBody);
  process.exit(1);
});
