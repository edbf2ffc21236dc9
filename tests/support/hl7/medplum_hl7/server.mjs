// Takes messages on a free port, answers them as Medplum's agent does, and prints each as a line of JSON.
// Node 20 has no WebSocket, which the library names when it is loaded and does not use here.
globalThis.WebSocket ??= class {};
const { Hl7Server } = await import('@medplum/hl7');
const server = new Hl7Server((connection) => {
  connection.addEventListener('message', ({ message }) => {
    console.log(JSON.stringify(message.toString()));
    connection.send(message.buildAck());
  });
});
await server.start(0, 'utf-8', process.argv[2] === 'enhanced');
console.log(server.server.address().port);
