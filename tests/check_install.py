#!/usr/bin/python3
"""Installs ringport to a directory of its own and builds programs on it as its users do, outside of the tree:

    cc app.c $(pkg-config --cflags --libs ringport)

against the shared library and, with --static, as a static program; the same with TLS, where OpenSSL is; by CMake, as a Meson
subproject; and plugins, which are unloaded, or loaded late.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
COMPILE = ("cc {options} -Wall -Wextra -Wno-unused-parameter -Werror {source} -o {program} "
           "$(pkg-config {pkg_config} --cflags --libs {package})")

passed = failed = 0


def run(*command, **options):
    return subprocess.run(command, check=True, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, **options).stdout


def check(name, function, *arguments):
    """Runs one test case."""
    global passed, failed
    try:
        function(*arguments)
        passed += 1
        print("ok", name)
    except subprocess.CalledProcessError as error:
        failed += 1
        print(error.stdout, "FAILED {}: {}".format(name, error.cmd), sep="\n")
    except AssertionError as error:
        failed += 1
        print("FAILED {}: {}".format(name, error))


def install(directory):
    environment = {name: value for name, value in os.environ.items() if name != "DESTDIR"}
    output = run(str(ROOT / "scripts/install"), str(directory / "prefix"), str(directory / "build"), env=environment)
    pc = next((directory / "prefix").rglob("ringport.pc"))
    libraries = pc.parent.parent
    for said in ("ringport.pc is in {}".format(pc.parent), "PKG_CONFIG_PATH={}".format(pc.parent),
                 "LD_LIBRARY_PATH={}".format(libraries)):
        assert said in output, "not said: " + said
    os.environ["PKG_CONFIG_PATH"] = str(pc.parent)


def paths(directory):
    return {"LD_LIBRARY_PATH": str(next((directory / "prefix").rglob("libringport.so")).parent)}


def soname(directory):
    """0.MINOR until 1.0; and dlclose() never unmaps it."""
    version = run("pkg-config", "--modversion", "ringport").strip().split(".")
    dynamic = run("readelf", "-d", str(next((directory / "prefix").rglob("libringport.so"))))
    expected = "libringport.so." + (".".join(version[:2]) if version[0] == "0" else version[0])
    assert "[{}]".format(expected) in dynamic, dynamic
    assert "NODELETE" in dynamic, dynamic


def check_output(output):
    version = run("pkg-config", "--modversion", "ringport").strip()
    assert re.fullmatch(rf"ringport {re.escape(version)} on \w+\n", output), output


def consumer(directory, name):
    """A copy of the programs outside of the tree."""
    place = directory / name
    shutil.copytree(ROOT / "tests/consumer", place)
    return place


def build(directory, program, source, package, options, pkg_config, environment):
    """Builds a program, runs it, and returns what it prints."""
    place = consumer(directory, program)
    run("sh", "-c", COMPILE.format(program=program, source=source, package=package, options=options,
                                   pkg_config=pkg_config), cwd=place)
    return run("./" + program, cwd=place, env=dict(os.environ, **environment))


def build_and_run(directory, program, options, pkg_config, environment):
    check_output(build(directory, program, "app.c", "ringport", options, pkg_config, environment))


def has_openssl():
    return subprocess.run(["pkg-config", "--exists", "openssl >= 3.0"]).returncode == 0


def check_tls_output(output):
    assert output == "RP_ETLS_ALERT handshake_failure\n", output


def tls(directory, program, options, pkg_config, environment):
    check_tls_output(build(directory, program, "tls.c", "ringport-tls", options, pkg_config, environment))


def only_with_openssl(directory):
    """Nobody needs OpenSSL who does not use TLS."""
    dynamic = run("readelf", "-d", str(next((directory / "prefix").rglob("libringport.so"))))
    assert "libssl" not in dynamic, dynamic
    assert "ssl" not in run("pkg-config", "--static", "--libs", "ringport")


def configure(directory, name, *options, **environment):
    """Configures the library alone: the exit status, and what is said."""
    ended = subprocess.run(["meson", "setup", str(directory / name), str(ROOT), "-Dtests=false", "-Dexamples=false",
                            "-Dio_uring=disabled", *options], env=dict(os.environ, **environment), text=True,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return ended.returncode, ended.stdout


def without_openssl(directory):
    """Without OpenSSL's openssl.pc there is no TLS, even if its headers are there; whoever insists is told why."""
    (directory / "nothing").mkdir()
    nowhere = {"PKG_CONFIG_LIBDIR": str(directory / "nothing")}
    status, output = configure(directory, "without", **nowhere)
    assert status == 0 and re.search(r"TLS +: NO", output), output
    status, output = configure(directory, "insisting", "-Dtls=enabled", **nowhere)
    assert status != 0 and 'ERROR: Dependency "openssl" not found' in output, output
    status, output = configure(directory, "refusing", "-Dtls=disabled")
    assert status == 0 and re.search(r"TLS +: NO", output), output


def meson_subproject(directory, *options):
    """dependency('ringport') of a project that has the tree among its subprojects: of that the library is built alone."""
    place = consumer(directory, "_".join(["meson", *options]))
    for part in ("include", "meson.build", "meson_options.txt", "scripts", "src"):
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        (place / "subprojects/ringport").mkdir(exist_ok=True)
        copy(ROOT / part, place / "subprojects/ringport" / part)
    run("meson", "setup", "build", "--force-fallback-for=ringport", *options, cwd=place)
    run("ninja", "-C", "build", cwd=place)
    check_output(run("build/app", cwd=place))
    if has_openssl():
        check_tls_output(run("build/tls", cwd=place))
    programs = [path for path in (place / "build/subprojects/ringport").iterdir() if path.name in ("tests", "examples")]
    assert not programs, programs


def cmake(directory):
    place = consumer(directory, "cmake")
    run("cmake", "-S", ".", "-B", "build", cwd=place)
    run("cmake", "--build", "build", cwd=place)
    check_output(run("build/app", cwd=place, env=dict(os.environ, **paths(directory))))


def unloaded(directory, how, flags):
    """A thread that ran tasks ends after the library that had it do so was unloaded."""
    place = consumer(directory, "unloaded_" + how)
    run("sh", "-c", "cc -shared -fPIC $(pkg-config --cflags ringport) plugin.c -o plugin.so " + flags, cwd=place)
    run("cc", "plugin_host.c", "-o", "host", "-pthread", cwd=place)
    output = run("./host", "./plugin.so", cwd=place, env=dict(os.environ, **paths(directory)))
    assert output == "ended\n", output


def module(directory):
    """A module of a program's, with the static library in it, exports its own names and none of the library's."""
    exported = run("nm", "-D", "--defined-only", str(directory / "unloaded_static/plugin.so"))
    names = [line.split()[-1] for line in exported.splitlines()]
    assert names == ["plugin_run"], names


def late_cxx(directory):
    """Tasks of C++ in a C program that had no C++ runtime when its loop began."""
    place = consumer(directory, "late_cxx")
    run("sh", "-c", "g++ -shared -fPIC late.cpp -o late.so $(pkg-config --cflags --libs ringport)", cwd=place)
    run("sh", "-c", "cc late_host.c -o host $(pkg-config --cflags --libs ringport)", cwd=place)
    output = run("./host", "./late.so", cwd=place, env=dict(os.environ, **paths(directory)))
    assert output == "ended\n", output


def missing_tools():
    """Without its tools, what is missing is named, and nothing is installed."""
    with tempfile.TemporaryDirectory() as name:
        for tool in ("bash", "dirname", "dpkg-query"):
            found = shutil.which(tool)
            if found:
                os.symlink(found, os.path.join(name, tool))
        ended = subprocess.run([str(ROOT / "scripts/install"), name, name + "/build"], env={"PATH": name}, text=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert ended.returncode != 0 and "needs cc meson ninja" in ended.stdout, ended.stdout


def main():
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        check("install without what it needs", missing_tools)
        check("install", install, directory)
        if failed:
            print("# {} passed, {} failed, 0 skipped".format(passed, failed))
            return True
        check("names", soname, directory)
        check("shared", build_and_run, directory, "shared", "-std=c11 -pedantic", "", paths(directory))
        check("static", build_and_run, directory, "static", "-static", "--static", {})
        if has_openssl():
            check("TLS, shared", tls, directory, "tls_shared", "-std=c11 -pedantic", "", paths(directory))
            check("TLS, static", tls, directory, "tls_static", "-static", "--static", {})
        check("OpenSSL for TLS alone", only_with_openssl, directory)
        check("without OpenSSL", without_openssl, directory)
        check("CMake", cmake, directory)
        check("Meson subproject", meson_subproject, directory)
        check("unloaded", unloaded, directory, "shared", "$(pkg-config --libs ringport)")
        archive = next((directory / "prefix").rglob("libringport.a"))
        check("unloaded with the static library", unloaded, directory, "static",
              "{} $(pkg-config --static --libs-only-l liburing)".format(archive))
        check("nothing exported with the static library", module, directory)
        check("a C++ runtime that comes late", late_cxx, directory)
    print("# {} passed, {} failed, 0 skipped".format(passed, failed))
    return failed > 0


sys.exit(main())
