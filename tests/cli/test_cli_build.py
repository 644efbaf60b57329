from mednb.cli.build import environment_yml, only_in, requirements

LOCK = """\
# A comment
numpy==2.4.6 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
medmnist==3.0.2 \\
    --hash=sha256:cc
six==1.17.0 ; sys_platform == 'linux' \\
    --hash=sha256:dd
"""


def test_requirements_keep_their_hashes():
    found = requirements(LOCK)
    assert list(found) == [
        "numpy==2.4.6",
        "medmnist==3.0.2",
        "six==1.17.0 ; sys_platform == 'linux'",
    ]
    assert "".join(found.values()) == LOCK.partition("\n")[2]


def test_what_the_tests_need_on_more_systems_is_in_their_lock():
    base = requirements(LOCK)
    everything = requirements(LOCK.replace(" ; sys_platform == 'linux'", "").replace("numpy", "np"))
    assert list(only_in(everything, base)) == ["np==2.4.6", "six==1.17.0"]


def test_environment_has_the_pins_without_medmnist():
    text = environment_yml(requirements(LOCK))
    assert '      - "numpy==2.4.6"\n' in text
    assert "medmnist==" not in text
