# docker build -t trainner . && docker run --gpus all --shm-size 2g -v "$PWD:/work" trainner train -opt my.yml
# For the CPU alone: docker build --build-arg TORCH=https://download.pytorch.org/whl/cpu -t trainner .
FROM python:3.12-slim
ARG TORCH=https://download.pytorch.org/whl/cu128
RUN pip install --no-cache-dir torch torchvision --index-url ${TORCH}
COPY . /source
RUN pip install --no-cache-dir /source && rm -rf /source
WORKDIR /work
ENTRYPOINT ["trainner"]
CMD ["--help"]
