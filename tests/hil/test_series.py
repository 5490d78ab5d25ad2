"""The bench's series look like a plant: neither constant nor white noise, and the same from the same seed."""

import zlib

import numpy as np

from hil.series import Kind, kinds, series


def columns(kind, table):
    return table[:, [i for i, k in enumerate(kinds(table.shape[1])) if k is kind]].astype(np.int64)


def test_it_repeats_from_its_seed_and_differs_between_seeds():
    assert (series(100, 50, seed=4) == series(100, 50, seed=4)).all()
    assert (series(100, 50, seed=4) != series(100, 50, seed=5)).mean() > 0.5


def test_every_kind_keeps_its_nature():
    table = series(100, 600, seed=1)
    assert table.dtype == np.uint16
    assert np.abs(np.diff(columns(Kind.TEMPERATURE, table), axis=0)).max() < 10
    adc = np.diff(columns(Kind.ADC, table), axis=0)
    assert (adc == 0).mean() < 0.2
    assert np.abs(adc).max() < 300
    assert columns(Kind.LEVEL, table).max() <= 10_000
    changes = (np.diff(columns(Kind.STATE, table), axis=0) != 0).mean()
    assert 0 < changes < 0.02
    total = np.diff(columns(Kind.TOTAL, table), axis=0)
    assert ((total > 0) | (total < -60_000)).mean() > 0.99


def test_it_packs_like_readings_not_like_noise_or_constants():
    table = series(100, 600, seed=2)
    deltas = np.diff(table.astype(np.int64), axis=0).astype(np.int16).tobytes()
    packed = len(zlib.compress(deltas)) / (table.size)
    assert 0.3 < packed < 1.6, "bytes per value"
