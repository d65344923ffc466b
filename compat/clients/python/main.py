"""redis-py as Debian packages it: commands, pipelines, and its Lock (used by Celery, django-redis, redbeat)."""

import json
import sys
import threading
import time

import redis
from redis.lock import Lock

CYCLES_BEFORE = 15
CYCLES_AFTER = 15
AFTER_SECONDS = 4


def say(**line):
    print(json.dumps(line), flush=True)


def connect(port, **options):
    return redis.Redis(host="127.0.0.1", port=port, socket_timeout=30, **options)


def must_raise(kind, text, call):
    try:
        call()
    except kind as error:
        assert text in str(error), f"{error!r} does not say {text!r}"
        return
    raise AssertionError(f"no {kind.__name__}")


def basic(ports):
    clients = [connect(port) for port in ports]

    def at(index):
        return clients[index % len(clients)]

    at(0).flushall()
    assert at(0).set("k", "v") is True
    assert at(1).get("k") == b"v"
    assert at(2).set("k", "w", nx=True) is None
    assert at(0).set("k", "w", get=True) == b"v"
    assert at(1).set("lock", "me", px=30000, nx=True) is True
    assert 0 < at(0).pttl("lock") <= 30000
    assert at(0).incr("n") == 1
    assert at(1).incrby("n", 41) == 42
    assert at(2).mget("k", "n", "nokey") == [b"w", b"42", None]
    assert at(0).incrbyfloat("f", 0.5) == 0.5
    assert at(0).expire("k", 100) and at(1).persist("k")
    assert at(1).setbit("bits", 7, 1) == 0 and at(2).bitcount("bits") == 1
    binary = bytes(range(256))
    assert at(0).set(binary, binary) and at(1).get(binary) == binary
    assert at(2).getdel("k") == b"w"

    assert at(0).pipeline().set("t", 1).incr("t").get("t").execute() == [True, 2, b"2"]
    loose = at(1).pipeline(transaction=False)
    for index in range(200):
        loose.set(f"p{index}", index)
    assert all(loose.execute())
    assert sorted(at(2).scan_iter(match="p*", count=50)) == sorted(f"p{index}".encode() for index in range(200))

    with at(0).pipeline() as pipe:
        pipe.watch("t")
        at(1).set("t", "changed")
        pipe.multi()
        pipe.set("t", "mine")
        must_raise(redis.WatchError, "", pipe.execute)
    script = at(1).register_script(
        "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end"
    )
    assert script(keys=["lock"], args=["you"]) == 0
    assert script(keys=["lock"], args=["me"], client=at(2)) == 1
    must_raise(redis.ResponseError, "unknown command", lambda: at(0).execute_command("NOSUCH"))
    must_raise(redis.ResponseError, "not an integer", lambda: at(0).incr("t"))
    assert at(0).info()["redis_version"].startswith("7.")
    other = connect(ports[0], db=2, client_name="compat")
    assert other.client_getname() == "compat" and other.get("n") is None
    locks(at)
    return f"commands, pipelines, WATCH, scripts, Lock over {len(ports)} nodes"


def locks(at):
    mine, yours = at(0).lock("py:lock", timeout=30), at(1).lock("py:lock", timeout=30)
    assert mine.acquire(blocking=False) and not yours.acquire(blocking=False)
    assert mine.owned() and at(2).exists("py:lock")
    assert mine.extend(30) and at(2).ttl("py:lock") > 30
    assert mine.reacquire() and at(2).ttl("py:lock") <= 30
    mine.release()
    assert yours.acquire(blocking_timeout=5)
    yours.release()
    must_raise(redis.exceptions.LockError, "", yours.release)
    short = at(0).lock("py:short", timeout=0.05)
    assert short.acquire(blocking=False)
    assert at(1).lock("py:short", timeout=30, sleep=0.01).acquire(blocking_timeout=5)
    must_raise(redis.exceptions.LockNotOwnedError, "", short.release)
    with at(2).lock("py:with", timeout=30):
        assert at(0).get("py:with") is not None
    # The digests are cached by the class: a flush of the server's scripts must be survived.
    at(0).script_flush()
    again = Lock(at(1), "py:again", timeout=30)
    assert again.acquire(blocking=False)
    again.release()


class Failover:
    """Workers that take one lock in turns, before, while and after the leader dies."""

    def __init__(self, ports):
        self.ports = ports
        self.mutex = threading.Lock()
        self.holder = None
        self.before = self.after = 0
        self.slowest = 0.0
        self.killed_at = None
        self.failures = []

    def cycle(self, client, name):
        lock = client.lock("py:failover", timeout=30, sleep=0.01)
        assert lock.acquire(blocking_timeout=25), f"{name} did not get the lock"
        with self.mutex:
            assert self.holder is None, f"{name} holds the lock together with {self.holder}"
            self.holder = name
        lock.extend(5)
        with self.mutex:
            self.holder = None
        lock.release()
        client.incr("py:failover:count")

    def is_over(self):
        enough_time = self.killed_at is not None and time.monotonic() - self.killed_at > AFTER_SECONDS
        return bool(self.failures) or (enough_time and self.after >= CYCLES_AFTER)

    def work(self, port, name):
        client = connect(port)
        try:
            while not self.is_over():
                start = time.monotonic()
                self.cycle(client, name)
                with self.mutex:
                    self.slowest = max(self.slowest, time.monotonic() - start)
                    if self.killed_at is not None and start > self.killed_at:
                        self.after += 1
                    else:
                        self.before += 1
                        if self.before == CYCLES_BEFORE:
                            say(event="ready")
                time.sleep(0.005)
        except Exception as error:  # the run fails with it
            self.failures.append(f"{name}: {error!r}")

    def listen(self):
        for line in sys.stdin:
            if line.strip() == "killed":
                self.killed_at = time.monotonic()

    def run(self):
        threads = [
            threading.Thread(target=self.work, args=(port, f"worker {index}"), daemon=True)
            for index, port in enumerate(self.ports * 2)
        ]
        for thread in [threading.Thread(target=self.listen, daemon=True), *threads]:
            thread.start()
        for thread in threads:
            thread.join()
        assert not self.failures, self.failures
        count = int(connect(self.ports[0]).get("py:failover:count"))
        assert count == self.before + self.after, f"{count} increments for {self.before + self.after} cycles"
        return f"{self.before} cycles before and {self.after} after the kill, slowest {self.slowest * 1000:.0f} ms"


def main():
    mode, ports = sys.argv[1], [int(port) for port in sys.argv[2].split(",")]
    try:
        summary = Failover(ports).run() if mode == "failover" else basic(ports)
    except Exception as error:
        say(event="failed", error=f"{type(error).__name__}: {error}")
        raise
    say(event="done", summary=f"redis-py {redis.__version__}: {summary}")


main()
