# The whole service in one image: `manage.py serve` with the embedded recogniser, or with RIVA_SERVER.
#
#   docker build -t speechsite .
#   docker run -p 8000:8000 -v speechsite-data:/data -e SECRET_KEY=... -e ALLOWED_HOSTS=... \
#       -e DATABASE_URL=... speechsite
#
# Migrate first, once per release: docker run ... speechsite python manage.py migrate

FROM python:3.11-slim-bookworm AS build
WORKDIR /app
RUN python -m venv /app/.venv
ENV PATH=/app/.venv/bin:$PATH
COPY requirements.txt .
RUN pip install --no-cache-dir --require-hashes -r requirements.txt
COPY . .
# The settings of this one command, not of the image.
RUN ENVIRONMENT=production ALLOWED_HOSTS=build.invalid \
    SECRET_KEY="$(python -c 'import secrets; print(secrets.token_urlsafe(48))')" \
    DATABASE_URL=sqlite:// DATA_DIR=/tmp/build python manage.py collectstatic --noinput

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /app --shell /usr/sbin/nologin speechsite \
    && install --directory --owner speechsite --mode 0700 /data
COPY --from=build /app /app
WORKDIR /app
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ENVIRONMENT=production \
    DATA_DIR=/data \
    PORT=8000
USER 10001
VOLUME /data
EXPOSE 8000
# Alive, not ready: a container must not be restarted because a recogniser or a database elsewhere is away.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/healthz', timeout=4)"]
# Longer than the server needs to finish its sessions (40 s): docker stop --time 60.
STOPSIGNAL SIGTERM
CMD ["python", "manage.py", "serve", "--host", "0.0.0.0"]
