// What the load benchmark asks: the smallest HTTP server there is, so that the generators are compared and not the service.
// The path says how long it takes: / at once, /1ms and /5ms that long, /tail log-normal with a median of 2 ms and a p99 of 20 ms.
import { createServer } from 'node:http';

const medianMs = 2;
const sigma = Math.log(10) / 2.326;

/** Box and Muller (1958): a standard normal deviate. */
const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());

const delays = {
  '/1ms': () => 1,
  '/5ms': () => 5,
  '/tail': () => Math.min(1_000, medianMs * Math.exp(sigma * normal())),
};

createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  const answer = () => response.writeHead(200, { 'content-length': 2 }).end('ok');
  const delay = delays[request.url];
  if (delay === undefined) answer();
  else setTimeout(answer, delay());
}).listen(Number(process.env.PORT), '127.0.0.1', () => console.log('listening'));
