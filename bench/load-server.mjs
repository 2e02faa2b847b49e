// What the load benchmark asks: the smallest HTTP server there is, so that the generators are compared and not the service.
import { createServer } from 'node:http';

createServer({ keepAliveTimeout: 60_000 }, (_, response) => {
  response.writeHead(200, { 'content-length': 2 }).end('ok');
}).listen(Number(process.env.PORT), '127.0.0.1', () => console.log('listening'));
