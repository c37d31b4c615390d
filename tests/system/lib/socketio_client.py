"""python-socketio as its users have it. Arguments: URL, token. Says what happens in lines of JSON on stdout, emits what
lines of stdin say, ends with stdin."""
import asyncio
import json
import sys

import socketio

url, token = sys.argv[1:]
auth = {'token': token}
client = socketio.AsyncClient()


def tell(**what):
    print(json.dumps(what), flush=True)


@client.event
async def connect():
    tell(connect=True)


@client.on('task.updated')
async def task_updated(data):
    tell(n=data['n'])


@client.on('cursor')
async def keep(cursor):
    auth['cursor'] = cursor


async def watch_transport():
    seen = None
    while True:
        if client.eio.state == 'connected' and client.transport() != seen:
            seen = client.transport()
            tell(transport=seen)
        elif client.eio.state != 'connected':
            seen = None
        await asyncio.sleep(0.02)


async def main():
    await client.connect(url, auth=auth)
    watching = asyncio.ensure_future(watch_transport())
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        command = json.loads(line)
        tell(answer=await client.call(command['event'], command['data']))
    watching.cancel()
    await client.disconnect()


asyncio.run(main())
