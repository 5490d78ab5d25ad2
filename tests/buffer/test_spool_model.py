"""The spool against plain lists: append, settle in any order, purge, close, kill; whatever the order."""

from __future__ import annotations

import random
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from spoolkit import RECIPIENTS, SMALL, append, as_killed, gap_body, gap_in

from buffer.cursor import Position
from buffer.record import LANES
from buffer.retention import BULK
from buffer.spool import Spool

DAY_NS = 86_400 * 10**9
BOUNDS = replace(SMALL, quota_bytes=160 << 10, reserve_bytes=50 << 10, wal_pregrow_bytes=64 << 10)
lanes = st.sampled_from(LANES)


class SpoolModel(RuleBasedStateMachine):
    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed):
        self.folder = Path(tempfile.mkdtemp(prefix="spool-model-"))
        self.noise = random.Random(seed)
        self.lives = 0
        self.now_ns = 1
        self.kept = {lane: {} for lane in LANES}
        self.heads = dict.fromkeys(LANES, 0)
        self.settled = {(name, lane): set() for name in RECIPIENTS for lane in LANES}
        self.unsaved = {}
        self.state = {}
        self.spool = self.opened(self.folder / "spool.db")

    def opened(self, path):
        self.path = path
        spool = Spool.open(path, BOUNDS, RECIPIENTS, gap_body)
        assert spool.quarantined is None
        self.places = spool.positions
        return spool

    def commit(self, works):
        written = self.spool.append_many(works, self.unsaved)
        self.unsaved = {}
        for record in (record for one in written for record in one):
            self.note(record)

    def note(self, record):
        self.heads[record.lane] += 1
        assert record.seq == self.heads[record.lane]
        self.kept[record.lane][record.seq] = record

    @rule(lane=lanes, sizes=st.lists(st.integers(0, 9_000), min_size=1, max_size=6), state=st.booleans())
    def append(self, lane, sizes, state):
        self.now_ns += DAY_NS // 2
        changed = {"alarm": self.noise.randbytes(20) if self.noise.random() < 0.8 else None} if state else {}
        bodies = [self.noise.randbytes(size) for size in sizes]
        self.commit([append(lane, *bodies, created_ns=self.now_ns, state=changed)])
        self.state.update(changed)
        self.state = {name: value for name, value in self.state.items() if value is not None}

    @rule(lane=lanes, count=st.integers(5, 15))
    def flood(self, lane, count):
        """Random drawing alone rarely fills a quota."""
        self.append(lane, [9_000] * count, state=False)

    @rule(lane=lanes, who=st.sampled_from(RECIPIENTS), at=st.floats(0, 1), length=st.integers(0, 15))
    def settle(self, lane, who, at, length):
        if self.heads[lane]:
            first = max(1, int(at * self.heads[lane]))
            last = min(self.heads[lane], first + length)
            self.settled[who, lane] |= set(range(first, last + 1))
            self.places[who, lane] = self.places[who, lane].settle([(first, last)])
            self.unsaved[who, lane] = self.places[who, lane]

    @rule(lane=lanes)
    def settle_all(self, lane):
        for who in RECIPIENTS:
            self.settle(lane, who, 0.0, self.heads[lane])

    @rule(days=st.integers(0, 60))
    def purge(self, days):
        self.commit([])
        self.now_ns += days * DAY_NS
        more = True
        while more:
            over = self.spool.usage().used_bytes > BOUNDS.quota_bytes - BOUNDS.reserve_bytes
            purged = self.spool.purge(self.now_ns)
            more = purged.more
            declared = {}
            for record in purged.declared:
                self.note(record)
                gap = gap_in(record)
                declared[gap["lane"]] = gap
            for lane, last in purged.up_to.items():
                self.judge(lane, last, declared.get(lane), over=over)
        bulk = sum(len(record.body) for lane in BULK for record in list(self.kept[lane].values())[:-1])
        assert bulk <= BOUNDS.quota_bytes - BOUNDS.reserve_bytes
        self.places = self.spool.positions

    def judge(self, lane, last, gap, *, over):
        assert last < self.heads[lane], "the newest stays"
        gone = [self.kept[lane].pop(seq) for seq in sorted(self.kept[lane]) if seq <= last]
        lost = [r.seq for r in gone if not all(r.seq in self.settled[who, lane] for who in RECIPIENTS)]
        assert bool(lost) == (gap is not None)
        if gap is not None:
            assert over
            assert (gap["first_seq"], gap["last_seq"], gap["dropped"]) == (lost[0], lost[-1], len(lost))
        if not over:
            assert all(self.now_ns - record.created_ns > 90 * DAY_NS for record in gone)
        for who in RECIPIENTS:
            self.settled[who, lane] |= set(range(1, last + 1))

    @rule()
    def close_and_open(self):
        self.commit([])
        self.spool.close()
        self.spool = self.opened(self.path)

    @rule()
    def kill_and_open(self):
        """What was settled and not yet saved is forgotten; nothing else is."""
        self.lives += 1
        before = self.path
        killed = as_killed(before, self.folder / str(self.lives))
        self.spool.close()
        self.spool = self.opened(killed)
        self.unsaved = {}
        for (who, lane), place in self.places.items():
            survived = {seq for seq in range(1, self.heads[lane] + 1) if place.is_settled(seq)}
            assert survived <= self.settled[who, lane]
            self.settled[who, lane] = survived

    @invariant()
    def the_same_as_the_lists(self):
        assert self.spool.heads == self.heads
        assert self.spool.state() == self.state
        for lane in LANES:
            found = self.spool.read(lane, 1, 10**6, 10**9).records
            assert found == tuple(self.kept[lane].values())
        for (who, lane), place in self.places.items():
            assert place == Position().settle((seq, seq) for seq in self.settled[who, lane])

    def teardown(self):
        if hasattr(self, "spool"):
            self.spool.close()
            shutil.rmtree(self.folder)


TestSpoolModel = SpoolModel.TestCase
TestSpoolModel.settings = settings(
    max_examples=100,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
