"""``alarms stats`` of a load that a real control socket gives."""

import argparse
import asyncio
import json

from gateway.alarm.load import Load
from gateway.commands.alarm_stats import stats
from gateway.control import ControlServer
from gateway.desk.stats import deeds
from gateway.instant import Now
from gateway.plant import Config, StorageConfig


def asked(folder, capsys, **options):
    (folder / "gateway.toml").write_text('[runtime]\nfolder = "."\n')
    config = Config("rev", "site", "gw1", "zh", StorageConfig(folder), folder, ())
    load = Load((), Now(0, 0))
    server = ControlServer(config, None, deeds(lambda: load.view(Now(60 * 10**9, 60 * 10**9))))
    args = argparse.Namespace(config=folder / "gateway.toml", language="zh", **options)

    async def play():
        await server.start()
        try:
            return await asyncio.to_thread(stats, args)
        finally:
            await server.close()

    assert asyncio.run(play()) == 0
    return capsys.readouterr().out


def test_the_load_is_shown_and_given(tmp_path, capsys):
    shown = asked(tmp_path, capsys, json=False)
    assert "报警负荷" in shown
    assert "1 分 0 秒" in shown
    given = json.loads(asked(tmp_path, capsys, json=True))
    assert (given["counted_s"], given["new_24h"], given["floods"]) == (60.0, 0, [])
