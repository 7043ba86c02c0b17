#!/bin/sh
# The browser tests drive Debian's Chromium. As root it is installed when it is missing; otherwise we say what to do.
set -eu
if command -v chromium >/dev/null 2>&1 && fc-list :lang=zh 2>/dev/null | grep -q .; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing chromium and a Chinese font for the browser tests"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends chromium fontconfig fonts-noto-cjk >/dev/null
else
    echo "The browser tests need Chromium and a Chinese font: apt-get install chromium fonts-noto-cjk" >&2
    exit 1
fi
