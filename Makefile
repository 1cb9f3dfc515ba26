# The front door: each target is a line of shell over Meson. `make help` lists them.

BUILD ?= build
PREFIX ?= /usr/local

.DEFAULT_GOAL := help
.PHONY: demo test python wheel soak coverage check bench bench-python bench-python-instructions bench-world bench-workers format \
    install help docs asan tsan valgrind aarch64 strangers world world-soak fuzz test-windows real-windows demo-windows clean

demo: ## asyncio's example, then an echo server under load on io_uring and on epoll: in C, then in Python, with its peers
	@scripts/install-packages build python
	@scripts/demo $(BUILD)

test: ## build, and run every test on every backend
	@scripts/install-packages build test python-test strangers libuv
	@options=$$(scripts/python-env $(BUILD) tests/python/requirements.txt) && suite=$$(scripts/uvloop-suite $(BUILD)) && \
	    scripts/configure $(BUILD) -Dbench=true -Dcxx=enabled $$options $$suite
	@scripts/test $(BUILD) --setup whole

python: ## the Python face in build/, and build/venv/bin/python, which imports it from there (PYTHON=/usr/bin/python3)
	@scripts/install-packages build python
	@options=$$(scripts/python-env $(BUILD)) && scripts/configure $(BUILD) -Dbench=true $$options
	@scripts/build $(BUILD) python-package
	@$(BUILD)/venv/bin/python -c 'import sys, ringport; print("ringport", ringport.__version__, "for", sys.executable)'

wheel: ## a wheel of the Python package in build-wheel/dist, installed and tried out (PYTHON=/usr/bin/python3)
	@scripts/install-packages build python wheel
	@scripts/wheel build-wheel
	@tests/check_wheel.py build-wheel

docs: ## a site of all documentation in build/docs/html: pages, headers, docstrings; every link within it is checked
	@scripts/install-packages build python
	@options=$$(scripts/python-env $(BUILD)) && scripts/configure $(BUILD) -Dbench=true $$options
	@scripts/build $(BUILD) python-package
	@scripts/docs $(BUILD)

soak: ## a thousand connections that live and end in every way, for half an hour on each backend at once
	@scripts/install-packages build
	@scripts/soak

coverage: ## which lines of src/ the tests run, and why the others are not
	@scripts/install-packages build test
	@scripts/test-variant coverage

check: ## format, warnings of gcc and clang, clang-tidy, layers, headers, documentation
	@scripts/install-packages build check python
	@scripts/check

bench: ## speed against libuv, a plain epoll loop, Boost.Asio, Boost.Context and goroutines (WORKLOADS="timers switch")
	@scripts/install-packages build
	@for group in libuv boost go plot valgrind tls redis; do scripts/install-packages $$group || echo "without $$group"; done
	@scripts/bench $(WORKLOADS)

bench-python: ## Python's event loops against each other (WORKLOADS="echo-streams chain", QUICK=1)
	@scripts/install-packages build python tls
	@RINGPORT_BENCH_QUICK=$(QUICK) scripts/bench-python bench_python.py $(WORKLOADS)

bench-python-instructions: ## the same, counted: user instructions an operation (WORKLOADS=chain)
	@scripts/install-packages build python tls valgrind
	@scripts/bench-python python_instructions.py $(WORKLOADS)

bench-world: ## what uvicorn, aiohttp, websockets, asyncpg, redis-py and Dask get out of Python's loops (WORKLOADS=redis, QUICK=1)
	@scripts/install-packages build python world
	@RINGPORT_BENCH_QUICK=$(QUICK) scripts/bench-world $(WORKLOADS)

bench-workers: ## what two workers serve against one
	@scripts/install-packages build
	@scripts/bench-workers

format: ## put all C files into the house style
	@scripts/install-packages check
	@scripts/c-files | xargs clang-format -i

install: ## install the library, the headers and ringport.pc (PREFIX=/usr/local, DESTDIR=)
	@scripts/install $(PREFIX) build-release

help: ## print this
	@sed -n 's/^\([a-z0-9-]*\): ## \(.*\)/make \1|\2/p' Makefile | awk -F'|' '{ printf "%-15s %s\n", $$1, $$2 }'

asan: ## the tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@scripts/install-packages build test python-test
	@scripts/test-variant asan

tsan: ## the tests under ThreadSanitizer
	@scripts/install-packages build test
	@scripts/test-variant tsan

valgrind: ## a part of the tests under Valgrind
	@scripts/install-packages build test valgrind
	@scripts/test-variant valgrind

aarch64: ## the tests on aarch64 (cross-compiled, under qemu-user, epoll)
	@scripts/install-packages build test cross
	@scripts/test-variant aarch64

strangers: ## of the tests: curl, wrk, socat, ncat, nginx, Redis, openssl, Go and GnuTLS against us; slow clients, and malformed ones
	@scripts/install-packages build strangers libraries
	@scripts/configure $(BUILD) -Dbench=true
	@scripts/test $(BUILD) --suite strangers

world: ## programs and libraries of others on Python's face, whole, beside asyncio (ROWS="redis dask", REDUCED=1 as in CI, WRITE=1)
	@scripts/install-packages build python world
	@scripts/world $(BUILD) $(ROWS) $(if $(REDUCED),--reduced) $(if $(WRITE),--write)

world-soak: ## aiohttp and websockets under visitors that reset, cancel and dawdle, for ten minutes: nothing grows (SOAK_SECONDS=600)
	@scripts/install-packages build python world
	@scripts/world-soak $(BUILD)

fuzz: ## lets libFuzzer at the parsers and TLS (RINGPORT_FUZZ_SECONDS=600 each; what it finds stays in build-fuzz)
	@scripts/install-packages build fuzz
	@scripts/fuzz

test-windows: ## the tests on Windows (cross-compiled by mingw, under Wine, on an I/O completion port)
	@scripts/install-packages build windows
	@scripts/test-variant windows

real-windows: ## a folder of all tests to be run on a Windows machine (scripts/real-windows runs them there in MSYS2)
	@scripts/install-packages build windows
	@scripts/real-windows

demo-windows: ## asyncio's example, then the echo server under load, as .exe under Wine
	@scripts/install-packages build windows
	@scripts/demo-windows

clean: ## remove all build directories
	rm -rf build build-*/
