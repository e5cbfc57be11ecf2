/** Draws points with a graphics card (WebGL 2). */

import type { Camera } from "./camera";
import type { Frame, Painter } from "./painter";
import type { Layer, Scene } from "./scene";

const VERTEX = `#version 300 es
layout(location = 0) in float x;
layout(location = 1) in float y;
layout(location = 2) in uint color;
uniform vec4 camera; // scale right, scale up, offset right, offset up
uniform float size;
uniform sampler2D palette;
uniform vec4 tint; // a colour for all points, where its last part is above 0
flat out vec3 ink;
void main() {
  gl_Position = vec4(x * camera.x + camera.z, y * camera.y + camera.w, 0.0, 1.0);
  gl_PointSize = size;
  ink = tint.a > 0.0 ? tint.rgb : texelFetch(palette, ivec2(int(color), 0), 0).rgb;
}`;

const FRAGMENT = `#version 300 es
precision highp float;
flat in vec3 ink;
uniform float alpha;
uniform float size;
out vec4 pixel;
void main() {
  float far = length(gl_PointCoord - 0.5) * size;
  float cover = size < 4.0 ? 1.0 : clamp(size * 0.5 - far + 0.5, 0.0, 1.0);
  pixel = vec4(ink, 1.0) * (alpha * cover);
}`;

const COLORS = 256;

export class GlPainter implements Painter {
  readonly name = "webgl";
  private readonly program: WebGLProgram;
  private readonly buffers: WebGLBuffer[];
  private readonly palette: WebGLTexture;
  private orders: { layer: Layer; buffer: WebGLBuffer }[] = [];
  private scene: Scene | null = null;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly gl: WebGL2RenderingContext,
  ) {
    this.program = link(gl);
    this.buffers = [gl.createBuffer(), gl.createBuffer(), gl.createBuffer()];
    this.palette = gl.createTexture();
    gl.useProgram(this.program);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
  }

  show(scene: Scene): void {
    const { gl } = this;
    if (scene.x !== this.scene?.x) {
      this.upload(0, scene.x);
      this.upload(1, scene.y);
    }
    if (scene.color !== this.scene?.color) this.upload(2, scene.color);
    if (scene.palette !== this.scene?.palette) this.uploadPalette(scene);
    if (scene.layers !== this.scene?.layers) {
      for (const { buffer } of this.orders) gl.deleteBuffer(buffer);
      this.orders = scene.layers.map((layer) => ({ layer, buffer: this.order(layer) }));
    }
    this.scene = scene;
  }

  draw(camera: Camera, { width, height, ratio }: Frame, grow: number, share: number): void {
    const { gl, canvas } = this;
    const [across, down] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== across || canvas.height !== down) {
      canvas.width = across;
      canvas.height = down;
    }
    gl.viewport(0, 0, across, down);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    const [right, up] = [(2 * camera.scale) / width, (2 * camera.scale) / height];
    gl.uniform4f(this.place("camera"), right, up, -camera.x * right, -camera.y * up);
    for (const { layer, buffer } of this.orders) {
      gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, buffer);
      const count = Math.ceil(layer.places.length * share);
      const size = Math.max(1, layer.size * grow * ratio);
      const tint = layer.tint ? [...layer.tint.map((part) => part / 255), 1] : [0, 0, 0, 0];
      this.drawLayer(count, size, layer.alpha, tint);
    }
  }

  dispose(): void {
    const { gl } = this;
    for (const buffer of this.buffers) gl.deleteBuffer(buffer);
    for (const { buffer } of this.orders) gl.deleteBuffer(buffer);
    gl.deleteTexture(this.palette);
    gl.deleteProgram(this.program);
  }

  private drawLayer(count: number, size: number, alpha: number, tint: number[]): void {
    const { gl } = this;
    gl.uniform1f(this.place("size"), size);
    gl.uniform1f(this.place("alpha"), alpha);
    gl.uniform4fv(this.place("tint"), tint);
    gl.drawElements(gl.POINTS, count, gl.UNSIGNED_INT, 0);
  }

  private place(name: string): WebGLUniformLocation | null {
    return this.gl.getUniformLocation(this.program, name);
  }

  private upload(location: 0 | 1 | 2, values: Float32Array | Uint8Array): void {
    const { gl } = this;
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[location]);
    gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
    gl.enableVertexAttribArray(location);
    if (values instanceof Uint8Array) {
      gl.vertexAttribIPointer(location, 1, gl.UNSIGNED_BYTE, 0, 0);
    } else {
      gl.vertexAttribPointer(location, 1, gl.FLOAT, false, 0, 0);
    }
  }

  private uploadPalette(scene: Scene): void {
    const { gl } = this;
    const texels = new Uint8Array(COLORS * 3);
    for (const [at, rgb] of scene.palette.entries()) texels.set(rgb, at * 3);
    gl.bindTexture(gl.TEXTURE_2D, this.palette);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB8, COLORS, 1, 0, gl.RGB, gl.UNSIGNED_BYTE, texels);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
  }

  private order(layer: Layer): WebGLBuffer {
    const { gl } = this;
    const buffer = gl.createBuffer();
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, buffer);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, layer.places, gl.DYNAMIC_DRAW);
    return buffer;
  }
}

function link(gl: WebGL2RenderingContext): WebGLProgram {
  const program = gl.createProgram();
  for (const [kind, source] of [
    [gl.VERTEX_SHADER, VERTEX],
    [gl.FRAGMENT_SHADER, FRAGMENT],
  ] as const) {
    const shader = gl.createShader(kind);
    if (!shader) throw new Error("This browser lost its graphics card. Reload the page.");
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) {
    throw new Error(gl.getProgramInfoLog(program) ?? "The points cannot be drawn with WebGL.");
  }
  return program;
}
