# clv in a container: slim, not root, bounded by what the container may use.
#   docker build -t clv .
#   docker run --rm -v "$PWD:/work" clv check orders.csv
#   docker run --rm -p 127.0.0.1:8000:8000 -v "$PWD:/work" clv serve --host 0.0.0.0 --keys keys.json
FROM python:3.12-slim AS build
COPY pyproject.toml constraints.txt README.md LICENSE /src/
COPY clv /src/clv
RUN python -m venv /opt/clv \
 && /opt/clv/bin/pip install --no-cache-dir --disable-pip-version-check -c /src/constraints.txt "/src[all]"

# The README's two commands: docker build --target dev -t clv-dev . && docker run --rm clv-dev make demo
FROM python:3.12-slim AS dev
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends make git chromium fonts-dejavu-core postgresql \
 && useradd --create-home --uid 10001 clv
COPY --chown=clv . /home/clv/src
USER clv
WORKDIR /home/clv/src
RUN make .venv/.installed
CMD ["make", "test"]

FROM python:3.12-slim
RUN useradd --create-home --uid 10001 clv && mkdir /work && chown clv /work
COPY --from=build /opt/clv /opt/clv
ENV PATH=/opt/clv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    OMP_NUM_THREADS=1 \
    OPENBLAS_NUM_THREADS=1 \
    MLFLOW_DISABLE_TELEMETRY=true \
    MLFLOW_ALLOW_PICKLE_DESERIALIZATION=false
USER clv
WORKDIR /work
EXPOSE 8000
ENTRYPOINT ["clv"]
CMD ["--help"]
