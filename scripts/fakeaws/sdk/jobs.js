// Does the jobs of a thing as their documents want, with the first version of
// AWS's device SDK, until there is none left. Says each as a line of JSON.
'use strict';

const { jobs } = require('aws-iot-device-sdk');

const [host, port, thing, certs, count] = process.argv.slice(2);
const client = jobs({
  host, port: Number(port), clientId: thing, protocol: 'mqtts',
  caPath: `${certs}/ca.crt`, certPath: `${certs}/device.crt`, keyPath: `${certs}/device.key`,
});

function fail(err) {
  console.error(err);
  process.exit(1);
}

let left = Number(count);
const begun = new Set();

function done(job) {
  console.log(JSON.stringify({ job: job.id }));
  left -= 1;
  if (left === 0) client.end(false, () => process.exit(0));
}

function run(err, job) {
  if (err) fail(err);
  if (begun.has(job.id)) return; // by $next/get and by notify-next
  begun.add(job.id);
  job.inProgress({ progress: '50' }, (err) => {
    if (err) fail(err);
    const end = job.document.end === 'failed' ? job.failed : job.succeeded;
    end({ progress: '100' }, (err) => (err ? fail(err) : done(job)));
  });
}

client.on('error', fail);
client.subscribeToJobs(thing, run);
client.startJobNotifications(thing, (err) => err && fail(err));
