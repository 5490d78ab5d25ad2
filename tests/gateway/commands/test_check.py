def test_a_line_without_security_is_noted_and_so_are_certificates_it_never_looks_at(tmp_path):
    insecure = SITE.replace('trusted = "nowhere"', 'trusted = "."\ninsecure = true')
    (tmp_path / "gateway.toml").write_text(insecure)
    (tmp_path / "points.csv").write_text("tag,device,address\nA,gds,i=2258\n")
    ended = subprocess.run(
        [Path(sys.executable).with_name("plantgate"), "check", "--config", tmp_path / "gateway.toml"],
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert "明文连接（insecure = true），不加密也不认证（1）：gds" in ended.stdout
    assert "insecure = true 时证书不起作用（1）：gds" in ended.stdout
