// Asks every question of the jobs API with the second version of AWS's device
// SDK, and says the answers as one line of JSON. Then it goes away, says so, and
// with the next line on its input comes back, to hear what it missed.
'use strict';

const { iot, iotjobs, mqtt, mqtt_request_response } = require('aws-iot-device-sdk-v2');
const { once } = require('events');
const readline = require('readline');

const [host, port, thing, certs] = process.argv.slice(2);

function connection(clean) {
  const config = iot.AwsIotMqttConnectionConfigBuilder
    .new_mtls_builder_from_path(`${certs}/device.crt`, `${certs}/device.key`)
    .with_certificate_authority_from_path(undefined, `${certs}/ca.crt`)
    .with_client_id(thing).with_endpoint(host).with_port(Number(port)).with_clean_session(clean).build();
  return new mqtt.MqttClient().new_connection(config);
}

// code is that of an answer which refuses.
async function code(answer) {
  try {
    await answer;
    return 'accepted';
  } catch (err) {
    return err.modeledError ? err.modeledError.code : String(err);
  }
}

async function ask(client, heard) {
  const thingName = thing;
  const said = {};
  const pending = await client.getPendingJobExecutions({ thingName });
  said.queued = pending.queuedJobs.map((s) => s.jobId);
  const begun = await client.startNextPendingJobExecution({ thingName, stepTimeoutInMinutes: 5, statusDetails: { at: 'start' } });
  said.begun = begun.execution.jobId;
  const jobId = said.begun;
  const described = await client.describeJobExecution({ thingName, jobId });
  said.details = described.execution.statusDetails;
  said.document = described.execution.jobDocument;
  said.timed = described.execution.approximateSecondsBeforeTimedOut > 0;
  said.mismatch = await code(client.updateJobExecution({ thingName, jobId, status: 'SUCCEEDED', expectedVersion: 99 }));
  said.nowhere = await code(client.describeJobExecution({ thingName, jobId: 'none' }));
  said.long = await code(client.startNextPendingJobExecution({ thingName, stepTimeoutInMinutes: 99999 }));
  const over = await client.updateJobExecution({ thingName, jobId, status: 'SUCCEEDED', includeJobExecutionState: true });
  said.over = over.executionState.status;
  said.again = await code(client.updateJobExecution({ thingName, jobId, status: 'FAILED' }));
  said.next = (await heard).execution.jobId;
  return said;
}

async function main() {
  let link = connection(true);
  await link.connect();
  const client = iotjobs.IotJobsClientv2.newFromMqtt311(link, { maxRequestResponseSubscriptions: 4, maxStreamingSubscriptions: 2, operationTimeoutInSeconds: 20 });
  const stream = client.createNextJobExecutionChangedStream({ thingName: thing });
  const subscribed = once(stream, mqtt_request_response.StreamingOperation.SUBSCRIPTION_STATUS);
  const heard = new Promise((resolve) => {
    stream.on(mqtt_request_response.StreamingOperation.INCOMING_PUBLISH, (m) => resolve(m.message));
  });
  stream.open();
  await subscribed;
  const said = await ask(client, heard);
  stream.close();
  client.close();
  await link.disconnect();

  link = connection(false);
  await link.connect();
  const topic = `$aws/things/${thing}/jobs/notify-next`;
  await link.subscribe(topic, mqtt.QoS.AtLeastOnce);
  await link.disconnect();
  console.log(JSON.stringify(said));
  await once(readline.createInterface({ input: process.stdin }), 'line');
  link = connection(false);
  const missed = new Promise((resolve) => { // a head, behind the news that there was none
    link.on('message', (from, payload) => {
      const { execution } = JSON.parse(Buffer.from(payload).toString());
      if (from === topic && execution) resolve(execution.jobId);
    });
  });
  const resumed = await link.connect();
  console.log(JSON.stringify({ resumed, job: await missed }));
  await link.disconnect();
}

main().then(() => process.exit(0), (err) => {
  console.error(err);
  process.exit(1);
});
